"""Many runs of lessons: the grid, one run and its folder, the cluster, the tables and the page over them."""
