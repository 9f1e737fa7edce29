"""dropout-lab: which dropout variant works for a network and a data set, and why.

    from dropout_lab import MalDrop, swap_dropout

Variants, networks, the classifier, data modules, callbacks and schedules are imported when the first of them is asked
for, so that ``dropout-lab --help`` does not wait for torch.
"""

from typing import TYPE_CHECKING

__version__ = "0.2.0.dev0"

if TYPE_CHECKING:
    from dropout_lab.callbacks import *
    from dropout_lab.callbacks.schedules import *
    from dropout_lab.datamodules import *
    from dropout_lab.models import *
    from dropout_lab.models.dropout import *
    from dropout_lab.models.networks import *
else:

    def __getattr__(name: str) -> object:
        """Return a public name of one of the rooms, or ``__all__`` of them (PEP 562)."""
        # Python and its tools ask modules for names of this kind that few have.
        if name == "__all__" or not name.startswith("__"):
            # By full names: ``from dropout_lab import models`` would ask for an attribute, and so come back here.
            import dropout_lab.callbacks as callbacks
            import dropout_lab.callbacks.schedules as schedules
            import dropout_lab.datamodules as datamodules
            import dropout_lab.models as models
            import dropout_lab.models.dropout as dropout
            import dropout_lab.models.networks as networks

            rooms = (dropout, networks, models, datamodules, callbacks, schedules)
            public = {each: getattr(room, each) for room in rooms for each in room.__all__}
            public["__all__"] = [*public, "__version__"]
            globals().update(public)
            if name in public:
                return public[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*__getattr__("__all__"), *globals()})
