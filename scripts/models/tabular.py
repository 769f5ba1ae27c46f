"""Models of scikit-learn on its bundled tables: iris, iris-names, diabetes, mixed, external."""

import numpy as np
import onnx
import pandas
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as Float
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBRegressor

OPSET = {"": 18, "ai.onnx.ml": 3}


def save(model, folder):
    """Writes folder/model.onnx; the converters list operator sets in no order."""
    operators = sorted(model.opset_import, key=lambda o: o.domain)
    del model.opset_import[:]
    model.opset_import.extend(operators)
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))


def iris(folder):
    """A random forest; labels are int64, probabilities leave through a ZipMap."""
    x, y = load_iris(return_X_y=True)
    x = x.astype(np.float32)
    train, test, y_train, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=3)
    forest = RandomForestClassifier(n_estimators=100, max_depth=5, random_state=1).fit(train, y_train)
    save(to_onnx(forest, train[:1], target_opset=OPSET), folder)
    cases = [
        ("one row", {"X": test[:1]}),
        ("three rows", {"X": x[[0, 50, 100]]}),
        ("the held-out rows", {"X": test}),
        ("one hundred rows", {"X": np.concatenate([x[:34], x[50:83], x[100:133]])}),
    ]
    return cases, f"accuracy {forest.score(test, y_test):.3f}", lambda feed: forest.predict(feed["X"])


def iris_names(folder):
    """A logistic regression; labels are strings, probabilities leave through a ZipMap."""
    bunch = load_iris()
    x, y = bunch.data.astype(np.float32), bunch.target_names[bunch.target]
    train, test, y_train, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=3)
    regression = LogisticRegression(max_iter=1000).fit(train, y_train)
    save(to_onnx(regression, train[:1], target_opset=OPSET), folder)
    cases = [
        ("one row", {"X": test[:1]}),
        ("three rows", {"X": x[[0, 50, 100]]}),
        ("the held-out rows", {"X": test}),
    ]
    return cases, f"accuracy {regression.score(test, y_test):.3f}", lambda feed: regression.predict(feed["X"])


def diabetes(folder):
    """XGBoost; one float32 value a row."""
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x = x.astype(np.float32)
    train, test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=42)
    boosting = XGBRegressor(n_estimators=150, max_depth=2, learning_rate=0.05, subsample=0.7, random_state=1, n_jobs=1)
    boosting.fit(train, y_train)
    graph = convert_xgboost(boosting, name="diabetes", initial_types=[("X", Float([None, x.shape[1]]))], target_opset=15)
    save(graph, folder)
    cases = [
        ("one row", {"X": test[:1]}),
        ("three rows", {"X": test[1:4]}),
        ("thirty held-out rows", {"X": test[10:40]}),
        ("values missing", {"X": np.where(test[:4] > 100, np.float32(np.nan), test[:4])}),
    ]
    return cases, f"R2 {boosting.score(test, y_test):.3f}", lambda feed: boosting.predict(feed["X"])


def mixed(folder):
    """Columns of text, int64 and float32, each an input of its own. The
    diabetes table's sex and body mass index as words, and whether the disease
    went on faster than the median."""
    x, y = load_diabetes(return_X_y=True, scaled=False, as_frame=True)
    weights = np.array(["under", "normal", "over", "obese"], dtype=object)
    columns = {
        "sex": np.where(x.sex == 1, "female", "male").astype(object),
        "weight": weights[np.digitize(x.bmi, [18.5, 25, 30])],
        "age": x.age.to_numpy(np.int64),
        "pressure": x.bp.to_numpy(np.float32),
        "triglycerides": x.s5.to_numpy(np.float32),
    }
    frame = x.assign(**columns)[list(columns)]
    faster = np.where(y > y.median(), "faster", "slower")
    train, test, y_train, y_test = train_test_split(frame, faster, test_size=0.25, random_state=0)
    model = make_pipeline(
        ColumnTransformer([
            ("words", OneHotEncoder(handle_unknown="ignore"), ["sex", "weight"]),
            ("years", StandardScaler(), ["age"]),
            ("numbers", StandardScaler(), ["pressure", "triglycerides"]),
        ]),
        LogisticRegression(),
    ).fit(train, y_train)
    types = [(name, TYPES[c.dtype]([None, 1])) for name, c in columns.items()]
    save(to_onnx(model, initial_types=types, target_opset=OPSET, options={"zipmap": False}), folder)

    def rows(table):
        return {name: table[name].to_numpy(c.dtype).reshape(-1, 1) for name, c in columns.items()}

    unknown = test[:2].assign(sex="", weight=["gewöhnlich", "a,\"b\"\nc"])
    cases = [
        ("one row", rows(test[:1])),
        ("three rows", rows(test[1:4])),
        ("thirty held-out rows", rows(test[10:40])),
        ("words that training did not see", rows(unknown)),
    ]
    def predict(feed):
        return model.predict(pandas.DataFrame({name: column[:, 0] for name, column in feed.items()}))

    return cases, f"accuracy {model.score(test, y_test):.3f}", predict


TYPES = {np.dtype(object): StringTensorType, np.dtype(np.int64): Int64TensorType, np.dtype(np.float32): FloatTensorType}


def external(folder):
    """A small neural network on the wine table; its weights lie in a file
    beside the graph."""
    x, y = load_wine(return_X_y=True)
    x = x.astype(np.float32)
    train, test, y_train, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=0)
    model = make_pipeline(StandardScaler(), MLPClassifier((24, 12), alpha=1, max_iter=1000, random_state=1))
    model.fit(train, y_train)
    graph = to_onnx(model, train[:1], target_opset=OPSET, options={"zipmap": False})
    (folder / "weights.bin").unlink(missing_ok=True)  # onnx appends to it
    for weights in graph.graph.initializer:  # only raw bytes can lie in another file
        weights.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights), weights.name))
    onnx.save_model(graph, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=64)
    cases = [
        ("one row", {"X": test[:1]}),
        ("ten held-out rows", {"X": test[1:11]}),
    ]
    return cases, f"accuracy {model.score(test, y_test):.3f}", lambda feed: model.predict(feed["X"])
