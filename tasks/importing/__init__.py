"""Tasks of other formats, written as folders of Harbor's."""
