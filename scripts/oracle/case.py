"""What a body that a library wrote comes with."""
import dataclasses

import values


@dataclasses.dataclass
class Case:
    """A body, what it holds, and what else its reader is to be told or has to find."""
    body: bytes
    tensors: list  # of (name, array)
    want: list | None = None  # the model's inputs, as entry makes them; None: to be inferred
    params: dict = dataclasses.field(default_factory=dict)  # of the media type
    dialect: str = "rows"
    note: str = ""  # what is unusual about it, for the report of a failure
    options: dict = dataclasses.field(default_factory=dict)  # the format's own


def entry(name, array):
    return {"name": name, "dtype": values.type_name(array), "shape": list(array.shape)}


def wanted(rng, name, array):
    """A model's input that takes array."""
    return entry(name, array) | {"shape": values.opened(rng, array.shape)}


def wanted_columns(rng, tensors):
    """The inputs of a model that takes tensors as columns: at most one leaves open how many it takes."""
    want = [wanted(rng, *t) for t in tensors]
    open = False
    for w, (_, array) in zip(want, tensors):
        for i in range(1, len(w["shape"])):
            if open:
                w["shape"][i] = array.shape[i]
            open = open or w["shape"][i] < 0
    return want
