"""Text that comes from files, commands or the network, marked as data where it stands in a message of the harness.

Threat model: the text is the agent's, the repository's or the network's, and may imitate anything: an end of the
mark, a system message, an approval. It cannot end the mark early. Results of calls are not marked: the role of
their message says what they are. A mark is no protection by itself; what a model does that obeys such text passes
the gate like anything else.
"""

from __future__ import annotations

import re

_END = re.compile(r"<(?=[\s\u200b-\u200f\u2060]*/[\s\u200b-\u200f\u2060]*data)", re.IGNORECASE)


def as_data(text: str, source: str) -> str:
    """`text` between marks that say where it comes from and that it is no instruction; `source` is ours."""
    return f'<data from="{source}">\n{_END.sub("&lt;", text)}\n</data>'
