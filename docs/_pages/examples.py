"""Show a docstring's "Example:" as code; Griffe knows the section of this name only as a remark."""

import re
from typing import Any

from griffe import Extension


class Examples(Extension):
    """Rename the section, which then is read as examples are."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Change the docstring of an object after it has been read."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
