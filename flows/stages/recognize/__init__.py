"""recognize: how usual an event looks, what came of others from its network, and whether it is a copy.

``stage``         the stage and its session
``combinations``  the keys of a batch, and what combinations of attributes are made of
``reputation``    from counts to the share that is expected to be denied
``hashes``        keys of contents and combinations, compiled
``layout``        how the state lies in memory
``kernels``       the loop over rows, compiled
``state``         the arrays, what changed in them, and their slices
``frames``        the bytes of snapshots
"""

from flows.stages.recognize.stage import Recognize

__all__ = ["Recognize"]
