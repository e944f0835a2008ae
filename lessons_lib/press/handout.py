"""A page for each executed lesson that reads the same with no kernel and no network.

nbconvert's own page fetches MathJax, RequireJS and the widgets' scripts from the network. Here
equations become MathML, which browsers draw themselves, and a widget is shown by the picture that
its output carries beside the live view.
"""

from __future__ import annotations

import copy
from html import escape

from jinja2 import DictLoader, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

MIME = "application/vnd.lessons-lib.result+json"  # of `lesson.record`
WIDGET = "application/vnd.jupyter.widget-view+json"
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_css %}<style>
main { max-width: 60rem; margin: 0 auto; padding: 1rem 0 4rem }
.jp-InputPrompt, .jp-OutputPrompt { display: none }
.jp-RenderedHTMLCommon { font-size: 1.05rem }
.jp-RenderedImage img { max-width: 100%; height: auto }
math[display=block] { margin: .8em 0; font-size: 1.15em }
details { margin: .6em 0; padding: .3em .8em; border-left: 3px solid #bbb }
</style>{% endblock %}
"""
STYLE = """body { font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem } td:first-child { min-width: 16rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .4rem .8rem }
tr { border-bottom: 1px solid #ddd } .number { text-align: right } .failed { color: #b00020 }
"""


def mathml(tex: str, display: str = "inline") -> str:
    """An equation as MathML, or as it was typed if the converter does not know how."""
    # `aligned` inside $$…$$ is what MathJax wants, `align*` what the converter knows.
    tex = tex.strip().replace("{aligned}", "{align*}")
    try:
        return convert(tex, display=display)
    except Exception:  # the converter raises a dozen unrelated classes, some of them bare
        return f"<code>{escape(tex)}</code>"


class Renderer(IPythonRenderer):
    """nbconvert's markdown, with the equations drawn by the browser."""

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


@pass_context
def markdown(context, source: str) -> str:
    """The template's filter for markdown cells."""
    attachments = context.get("cell", {}).get("attachments", {})
    renderer = Renderer(escape=False, attachments=attachments, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(source)


def without_live_widgets(notebook: NotebookNode) -> NotebookNode:
    """A copy whose widget outputs are what they show where no widget can run."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "outputs" in cell:  # a result that is kept and not shown has nothing for a page
            cell.outputs = [o for o in cell.outputs if set(o.get("data", ["text/plain"])) - {MIME}]
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if data.pop(WIDGET, None) and set(data) <= {"text/plain"}:
                data["text/plain"] = "[a control: open the notebook to move it]"
    return notebook


def title(notebook: NotebookNode, default: str) -> str:
    """The lesson's first heading."""
    lines = (
        line for c in notebook.cells if c.cell_type == "markdown" for line in c.source.split("\n")
    )
    return next((line[2:].strip() for line in lines if line.startswith("# ")), default)


def page(notebook: NotebookNode, name: str) -> str:
    """An executed notebook as one self-contained HTML page."""
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({"handout": TEMPLATE})],
        template_file="handout",
        filters={"markdown2html": markdown},
    )
    resources = {"metadata": {"name": title(notebook, name)}}
    html, _ = exporter.from_notebook_node(without_live_widgets(notebook), resources)
    return html


def index(outcomes: list[dict]) -> str:
    """The page that lists the lessons, with what their last runs took."""
    rows = [
        f'<tr><td><a href="{o["name"]}.html">{escape(o["title"])}</a></td>'
        f'<td class="number">{o["seconds"]:.0f} s</td><td class="number">{memory(o)}</td>'
        f"<td{' class=failed' if o['error'] else ''}>{escape(o['error'] or 'ok')}</td>"
        f"<td>{escape(', '.join(f'{k} = {v!r}' for k, v in o['parameters'].items()))}</td></tr>"
        for o in outcomes
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Lessons</title>'
        f"<style>{STYLE}</style><h1>Lessons</h1><table><tr><th>Lesson</th>"
        f'<th class="number">Time</th><th class="number">Peak memory</th><th>Run</th>'
        f"<th>Parameters changed</th></tr>{''.join(rows)}</table></html>\n"
    )


def memory(outcome: dict) -> str:
    """A lesson's peak memory in words."""
    return f"{outcome['peak_mib']:.0f} MiB" if outcome["peak_mib"] else "–"
