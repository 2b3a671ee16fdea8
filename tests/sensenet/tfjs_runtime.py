"""What tests of TensorFlow.js models need beside Python."""

from __future__ import annotations

import pytest

from sensenet.errors import SettingsError
from sensenet.formats.tfjs.node import has_node
from sensenet.formats.tfjs.runtime import find_runtime


def _missing() -> str | None:
    try:
        find_runtime()
    except SettingsError as error:
        return str(error)
    return None


MISSING = _missing()
needs_runtime = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
needs_node = pytest.mark.skipif(not has_node(), reason=MISSING or "there is no command node (Node.js)")
