"""What runs inside a training: it writes down what makes a later join certain, and says findings in time.

::

    from runscope.callbacks import RunscopeCallback      # Trainer and TRL: callbacks=[RunscopeCallback()]
    from runscope.callbacks import LightningCallback     # Lightning: callbacks=[LightningCallback()]

    from runscope.callbacks import Recorder              # a loop of your own
    recorder = Recorder(config={"learning_rate": 1e-4}, folder="out", start_step=step)
    recorder.log(step, {"train/loss": loss})             # wherever the loop logs

Nothing here raises into a training, and all of it together takes less than a hundredth of the time of its steps; the
look at its end comes after them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runscope.lazy import fetched

if TYPE_CHECKING:
    from runscope.callbacks.facts import Facts as Facts
    from runscope.callbacks.lightning import LightningCallback as LightningCallback
    from runscope.callbacks.recorder import Recorder as Recorder
    from runscope.callbacks.trainer import RunscopeCallback as RunscopeCallback

__getattr__, __dir__, __all__ = fetched(__name__)
