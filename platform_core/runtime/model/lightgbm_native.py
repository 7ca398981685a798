"""LightGBM by its C interface: a row costs about 5 µs, and neither pandas nor scikit-learn is imported.

The Python package's ``Booster.predict`` costs about 20 µs a row, and importing it takes seconds because it brings
pandas and scikit-learn along (measured with lightgbm 4.7).
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import threading
import weakref
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken, Unsupported

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.platform_core.runtime.model.files import File

_FLOAT64 = 1
_ROW_MAJOR = 1
_PREDICTION, _CONTRIBUTIONS = 0, 3
_ALL_TREES = -1
_ONE_THREAD = b"num_threads=1"
_FEW = 16
"""Rows up to which the call for one row, again and again, is faster than the call for many."""
_SUFFIX = {"darwin": ".dylib", "win32": ".dll"}


class Booster:
    """Trees read from LightGBM's text file, which give each row as many numbers as one of ``counts``."""

    def __init__(self, file: File, features: int, counts: tuple[int, ...] = (1,)) -> None:
        import numpy as np

        self._library = _library(ctypes.CDLL)
        self._handle = ctypes.c_void_p()
        trees = ctypes.c_int()
        # by itself LightGBM reads through a buffer of 16 MB, which each thread that loads models would keep
        text = file.read_bytes()
        self._call("LGBM_BoosterLoadModelFromString", text, ctypes.byref(trees), ctypes.byref(self._handle))
        weakref.finalize(self, self._library.LGBM_BoosterFree, self._handle)
        self._expect("LGBM_BoosterGetNumFeature", (features,), f"{file} was fitted on another number of features")
        numbers = self._expect("LGBM_BoosterGetNumClasses", counts, f"{file} gives a row another count of numbers")
        self._features = features
        self._each = (numbers,) if numbers > 1 else ()
        self._rows, self._scores = np.zeros((_FEW, features)), np.zeros((_FEW, *self._each))
        self._length = ctypes.c_int64()
        self._lock = threading.Lock()
        self._prepare_single_row()

    def predict(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the trees say of each row of a (rows, features) matrix: (rows,), or (rows, numbers)."""
        rows = len(matrix)
        if rows > _FEW:
            return self._predict_many(matrix)
        with self._lock:  # the prepared rows and handle are shared
            self._rows[:rows] = matrix
            fast, prepared, length = self._fast, self._prepared, self._length_at
            for row, score in self._places[:rows]:
                if fast(prepared, row, length, score):
                    raise self._error()
            return self._scores[:rows].copy()

    def contributions(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much each column moves each number of a row, before any link: (rows, numbers, columns + 1).

        The last one is what the trees say where nothing is known of a row; all of them add up to what the trees say
        (Lundberg and others 2020, 'From local explanations to global understanding with explainable AI for trees').
        """
        return self._predict_many(matrix, _CONTRIBUTIONS, ((self._each or (1,))[0], self._features + 1))

    def _predict_many(
        self, matrix: NDArray[np.float64], what: int = _PREDICTION, each: tuple[int, ...] | None = None
    ) -> NDArray[np.float64]:
        import numpy as np

        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        scores = np.zeros((len(rows), *(self._each if each is None else each)))
        shape = (ctypes.c_int32(rows.shape[0]), ctypes.c_int32(rows.shape[1]))
        asked = (what, 0, _ALL_TREES, _ONE_THREAD, ctypes.byref(ctypes.c_int64()))
        self._call(
            "LGBM_BoosterPredictForMat", self._handle, _at(rows), _FLOAT64, *shape, _ROW_MAJOR, *asked, _at(scores)
        )
        return scores

    def _prepare_single_row(self) -> None:
        """Keep rows, scores and handle in place, so that a call only fills rows."""
        prepared = ctypes.c_void_p()
        what = (_PREDICTION, 0, _ALL_TREES, _FLOAT64, self._features, _ONE_THREAD)
        self._call("LGBM_BoosterPredictForMatSingleRowFastInit", self._handle, *what, ctypes.byref(prepared))
        weakref.finalize(self, self._library.LGBM_FastConfigFree, prepared)
        self._prepared = prepared
        # PyDLL keeps the interpreter's lock: letting go of it costs more than the 5 µs of the call.
        self._fast = _library(ctypes.PyDLL).LGBM_BoosterPredictForMatSingleRowFast
        self._fast.argtypes = [ctypes.c_void_p] * 4
        self._length_at = ctypes.addressof(self._length)
        self._places = list(zip(_places(self._rows), _places(self._scores), strict=True))

    def _expect(self, function: str, wanted: tuple[int, ...], problem: str) -> int:
        found = ctypes.c_int()
        self._call(function, self._handle, ctypes.byref(found))
        if found.value not in wanted:
            said = " or ".join(map(str, wanted))
            raise ContractBroken(f"{problem}: {found.value}, not {said}", "package the model with its own manifest")
        return found.value

    def _call(self, function: str, *arguments: object) -> None:
        if getattr(self._library, function)(*arguments):
            raise self._error()

    def _error(self) -> ContractBroken:
        said = self._library.LGBM_GetLastError().decode(errors="replace")
        return ContractBroken(f"LightGBM: {said}", "store the booster with save_model as text")


def _at(array: NDArray[np.float64]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _places(array: NDArray[np.float64]) -> range:
    """Return where each row of an array lies in memory."""
    return range(array.ctypes.data, array.ctypes.data + array.nbytes, array.strides[0])


@cache
def _library(kind: type[ctypes.CDLL]) -> ctypes.CDLL:
    spec = importlib.util.find_spec("lightgbm")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder, "lib", f"lib_lightgbm{_SUFFIX.get(sys.platform, '.so')}")
        if file.exists():
            library = kind(str(file))
            library.LGBM_GetLastError.restype = ctypes.c_char_p
            return library
    raise Unsupported("the model needs LightGBM, whose library is not installed", "install lightgbm")
