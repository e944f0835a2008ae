"""A page for each executed lesson that reads the same with no kernel and no network.

nbconvert's own page fetches MathJax, RequireJS and the widgets' scripts from the network. Here
equations become MathML, which browsers draw themselves, and a widget is shown by the picture that
its output carries beside the live view.
"""

from __future__ import annotations

import base64
import copy
import io
import re
from html import escape
from itertools import count

from jinja2 import DictLoader, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbformat.v4 import new_output

from ..paths import MIME
from .site import Section, asset, bar, with_anchors

WIDGET = "application/vnd.jupyter.widget-view+json"
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_css %}<style>SITE_CSS</style>{% endblock %}
{% block data_png scoped %}<div class="jp-RenderedImage jp-OutputArea-output {{ extra_class }}">
{%- set kind = output | get_metadata('as', 'image/png') or 'png' %}
<img src="data:image/{{ kind }};base64,{{ output.data['image/png'] | escape_html }}"
alt="{{ (output | get_metadata('alt', 'image/png') or 'a picture of this cell') | escape_html }}">
</div>{% endblock data_png %}
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
    """A copy whose widget outputs are what they show where no widget can run, without bars of progress."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "outputs" in cell:  # a result that is kept and not shown has nothing for a page
            cell.outputs = [
                o for o in cell.outputs
                if set(o.get("data", ["text/plain"])) - {MIME} and not _is_a_bar(o.get("data", {}))
            ]  # fmt: skip
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if data.pop(WIDGET, None) and set(data) <= {"text/plain"}:
                data["text/plain"] = "[a control: open the notebook to move it]"
        cell["outputs"] = [
            shown for output in cell.get("outputs", ()) for shown in _with_note(output)
        ]
    return notebook


def _is_a_bar(data: NotebookNode) -> bool:
    return WIDGET in data and re.search(r"\d+%\|", "".join(data.get("text/plain", ""))) is not None


def _with_note(output: NotebookNode) -> list[NotebookNode]:
    """A picture that can be moved in the notebook says so, below itself."""
    controls = output.get("metadata", {}).get("image/png", {}).get("controls")
    if not controls:
        return [output]
    named = escape(", ".join(name.replace("_", " ") for name in controls))
    note = f'<p class="control">In the notebook this picture moves with: {named}.</p>'
    return [output, new_output("display_data", {"text/html": note})]


def with_light_pictures(notebook: NotebookNode) -> NotebookNode:
    """The notebook, changed in place, with its pictures as WebP, pixel for pixel, where that is smaller."""
    from PIL import Image

    for output in (o for c in notebook.cells for o in c.get("outputs", ())):
        if "image/png" not in output.get("data", {}):
            continue
        light, png = io.BytesIO(), base64.b64decode(output.data["image/png"])
        Image.open(io.BytesIO(png)).save(light, "WEBP", lossless=True, method=2)
        if light.tell() < len(png):
            output.data["image/png"] = base64.b64encode(light.getvalue()).decode()
            output.metadata.setdefault("image/png", {})["as"] = "webp"
    return notebook


def title(notebook: NotebookNode, default: str) -> str:
    """The lesson's first heading."""
    lines = (
        line for c in notebook.cells if c.cell_type == "markdown" for line in c.source.split("\n")
    )
    return next((line[2:].strip() for line in lines if line.startswith("# ")), default)


def page(notebook: NotebookNode, name: str) -> tuple[str, list[Section]]:
    """An executed notebook as one self-contained HTML page, and the sections in it."""
    template = TEMPLATE.replace("SITE_CSS", asset("site.css"))
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({"handout": template})],
        template_file="handout",
        filters={"markdown2html": markdown},
    )
    resources = {"metadata": {"name": title(notebook, name)}}
    shown = with_light_pictures(without_live_widgets(notebook))
    html = exporter.from_notebook_node(shown, resources)[0]
    head, _, rest = html.partition("<main>")
    body, sections = with_anchors(_reachable(rest))
    return f'{head}{bar(name, sections)}<main id="lesson">{body}', sections


def _reachable(html: str) -> str:
    """Tables and code that may be wider than a phone scroll by themselves, by keyboard too."""
    html = html.replace("<pre>", '<pre tabindex="0">')
    html = html.replace('<math display="block"', '<math tabindex="0" display="block"')
    html = re.sub(r"<th([^>]*)>\s*</th>", r"<td\1></td>", html)  # a corner heads nothing
    number = count(1)
    html = re.sub(
        r"<table(?=[ >])",
        lambda _: (
            f'<div class="scroll" tabindex="0" role="region" aria-label="table {next(number)}"><table'
        ),
        html,
    ).replace("</table>", "</table></div>")
    return re.sub(r'(href="[^":/]*)\.ipynb(["#])', r"\1.html\2", html)
