"""Writes cases.jsonl: libsvm bodies with the rows that scikit-learn reads in them.

pip install scikit-learn, then: python generate.py

Each line is a case: "body" is what is sent, "want" the model's input, "tensors" what is read, its elements in base64.
"""

import base64, io, json
import numpy as np
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

cases = []


def labelled(body):
    """Puts a label in front of rows that have none: scikit-learn wants one."""
    lines = []
    for line in body.removeprefix(b"\xef\xbb\xbf").splitlines():
        tokens = line.split(b"#")[0].split()
        lines.append(b"0 " + line if tokens and b":" in tokens[0] else line)
    return b"\n".join(lines)


def case(name, body, dtype, shape, base=1, width=None, **params):
    """Lets scikit-learn read body into width columns; shape is the model's input."""
    body = body if isinstance(body, bytes) else body.encode()
    x, _ = load_svmlight_file(io.BytesIO(labelled(body)), n_features=width, dtype=np.float64, zero_based=base == 0)
    dense = x.toarray()
    if params.get("missing") == "nan":
        given = x.copy()
        given.data[:] = 1
        dense[given.toarray() == 0] = np.nan
    dense = dense.astype(dtype)
    dense = dense.reshape((len(dense),) + tuple(shape[1:])) if -1 not in shape[1:] else dense
    cases.append({
        "name": name, "body": base64.b64encode(body).decode(), "params": params,
        "want": [{"name": "x", "dtype": dtype, "shape": shape}],
        "tensors": [{"name": "x", "dtype": dtype, "shape": list(dense.shape), "data": base64.b64encode(dense.tobytes()).decode()}],
    })


def dumped(x, base, **options):
    f = io.BytesIO()
    dump_svmlight_file(x, np.arange(len(x)), f, zero_based=base == 0, **options)
    return f.getvalue()


def main():
    rng = np.random.default_rng(1)
    for dtype in ("float32", "float64", "int64"):
        x = np.where(rng.random((6, 9)) < 0.4, rng.integers(-50, 50, (6, 9)) / (1 if dtype == "int64" else 8), 0)
        x[0, 8] = 7  # so that the greatest index is there
        for base in (0, 1):
            params = {"index_base": "0"} if base == 0 else {}
            case("written by scikit-learn, %s, from %d" % (dtype, base), dumped(x, base), dtype, [-1, 9], base, 9, **params)
            case("the model open, %s, from %d" % (dtype, base), dumped(x, base), dtype, [-1, -1], base, None, **params)
    case("with a comment and query ids", dumped(x, 1, comment="about\nthis", query_id=np.arange(6)), "float32", [-1, 9], 1, 9)
    case("shortest texts of floats", "\n".join("1 1:%r 2:%r" % tuple(v) for v in rng.standard_normal((8, 2)).tolist()), "float64", [-1, 2], 1, 2)
    case("without labels", "1:0.5 3:1e-3\n2:-4\n", "float32", [-1, 3], 1, 3)
    case("some labels, blank lines, tabs, CRLF, a comment", "+1\t1:1\r\n\r\n   \n-1.5e0 2:2   3:+.5 # 1:9\r\n# all of it\n3:007.", "float32", [-1, 3], 1, 3)
    case("a label alone is a row of zeros", "1\n2 2:1\n0", "float32", [-1, 3], 1, 3)
    case("a byte order mark", b"\xef\xbb\xbf1 1:2", "float32", [-1, 1], 1, 1)
    case("what is missing is NaN", "1 1:0 3:4\n0\n2:5", "float32", [-1, 3], 1, 3, missing="nan")
    case("NaN and the infinities", "1 1:nan 2:inf 3:-inf", "float32", [-1, 3], 1, 3)
    case("rows of several dimensions", "1 1:1 4:4\n1 6:6", "float32", [-1, 2, 3], 1, 6)
    with open("cases.jsonl", "w") as f:
        for c in cases:
            f.write(json.dumps(c) + "\n")
    print(len(cases), "cases")


main()
