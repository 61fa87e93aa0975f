"""``invoke bench``: how long builds and boots take, beside other tools, in one run."""
