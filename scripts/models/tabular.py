"""Models of scikit-learn on its bundled tables: iris, iris-names, diabetes, mixed, external."""

import numpy as np
import onnx
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

OPSET = {"": 18, "ai.onnx.ml": 3}


def save(model, folder):
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
    return cases, f"accuracy {forest.score(test, y_test):.3f}"


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
    return cases, f"accuracy {regression.score(test, y_test):.3f}"
