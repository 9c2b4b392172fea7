"""Text that comes from files, commands or the network, marked as data where the model reads it.

Threat model: the text is the agent's, the repository's or the network's, and may imitate anything: an end of the
mark, a system message, an approval. It cannot end the mark, which is one that it does not hold; nothing in it is
changed, since the model may have to repeat it. Results of calls are marked when a request is rendered
(`models/wire.py`), not in the journal. A mark is no protection by itself; what a model does that obeys such text
passes the gate like anything else.
"""

from __future__ import annotations

import re

_END = re.compile(r"<\s*/\s*data-?(\d*)", re.IGNORECASE)
_UNSEEN = re.compile(r"[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")


def as_data(text: str, source: str) -> str:
    """`text` between marks that say where it comes from and that it is no instruction; `source` is ours."""
    ended = {found[1] for found in _END.finditer(_UNSEEN.sub("", text))}
    mark = "data"
    number = 1
    while mark.partition("-")[2] in ended:
        number += 1
        mark = f"data-{number}"
    return f'<{mark} from="{source}">\n{text}\n</{mark}>'
