"""How annotations are checked while the tests run: an int may stand for a float, as in PEP 484."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
