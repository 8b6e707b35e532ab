"""What somebody typed or chose, for the length of the sign-in: Streamlit forgets a widget's value once it is not drawn,
and everything when the page is loaded again. In memory only; signing out deletes it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

LONGEST_SECONDS = 24 * 3_600
"""Longer than any sign-in lasts."""
MAX_SIGN_INS = 2_000
MAX_VALUES = 300
MAX_TEXT = 20_000
"""Characters of a value; a longer one is not kept."""
MAX_BATCHES = 20
"""Batches of all sign-ins; the oldest goes first, since each may hold thousands of answers."""
_SIGN_IN = "vigie_sign_in"
_NOTHING = object()


@dataclass(slots=True)
class _SignIn:
    values: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    began: float = field(default_factory=time.monotonic)


class DraftStore:
    """Values by sign-in. The oldest sign-ins, values and batches go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sign_ins: OrderedDict[str, _SignIn] = OrderedDict()
        self._batches: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def get(self, sign_in: str, key: str) -> Any:
        with self._lock:
            found = self._sign_ins.get(sign_in)
            return None if found is None else found.values.get(key)

    def put(self, sign_in: str, key: str, value: Any) -> None:
        """Keep a value; None and a text that is too long remove it."""
        with self._lock:
            values = self._sign_ins.setdefault(sign_in, _SignIn()).values
            values.pop(key, None)
            if value is not None and not (isinstance(value, str) and len(value) > MAX_TEXT):
                values[key] = value
            while len(values) > MAX_VALUES:
                values.popitem(last=False)
            now = time.monotonic()
            for name, found in list(self._sign_ins.items()):
                if len(self._sign_ins) <= MAX_SIGN_INS and now - found.began < LONGEST_SECONDS:
                    break
                self._forget(name)

    def batch(self, sign_in: str, key: str) -> Any:
        with self._lock:
            return self._batches.get((sign_in, key))

    def put_batch(self, sign_in: str, key: str, value: Any) -> None:
        """Replace the sign-in's batch; None only removes it."""
        with self._lock:
            self._forget_batches(sign_in)
            if value is not None:
                self._batches[sign_in, key] = value
            while len(self._batches) > MAX_BATCHES:
                self._batches.popitem(last=False)

    def forget(self, sign_in: str) -> None:
        with self._lock:
            self._forget(sign_in)

    def _forget(self, sign_in: str) -> None:
        self._sign_ins.pop(sign_in, None)
        self._forget_batches(sign_in)

    def _forget_batches(self, sign_in: str) -> None:
        for old in [name for name in self._batches if name[0] == sign_in]:
            del self._batches[old]


_STORE = DraftStore()


def use_sign_in(sign_in: str) -> None:
    """Select the sign-in whose values this page reads and writes."""
    st.session_state[_SIGN_IN] = sign_in


def _sign_in() -> str:
    found: str = st.session_state.get(_SIGN_IN, "")
    return found


def _get(key: str) -> Any:
    return _STORE.get(_sign_in(), key)


def _put(key: str, value: Any) -> None:
    if sign_in := _sign_in():
        _STORE.put(sign_in, key, value)


def kept(key: str, options: Collection[Any] | None = None, *, default: Any = _NOTHING) -> str:
    """Keep the value of the widget with this key, and give it back when the widget is drawn again. Call it where the
    widget is created.

    Args:
        key: of the widget.
        options: what can be chosen at present; a value that is not among them is not given back.
        default: the stored value that the widget starts from; it is not kept, so that a later one is shown.

    Returns:
        The key.
    """
    state = st.session_state
    if key in state:
        _put(key, None if state[key] == default else state[key])
        return key
    value = _get(key)
    if value is not None and (options is None or _among(value, options)):
        state[key] = value
    return key


def follow_clock(now: Mapping[str, Any]) -> bool:
    """Keep the widgets of one moment (key -> its value now) at the present time until somebody changes one of them.

    Returns:
        Whether they follow the clock.
    """
    state, shown = st.session_state, f"{next(iter(now))}-followed"
    if any(key not in state for key in now):
        chosen = {key: _get(key) for key in now}
        if all(value is not None for value in chosen.values()):
            state.update(chosen)
            return False
    elif {key: state[key] for key in now} != state.get(shown):
        for key in now:
            _put(key, state[key])
        return False
    state[shown] = dict(now)
    state.update(now)
    return True


def follows_clock(keys: Collection[str]) -> bool:
    """Whether nobody has chosen another time than now."""
    state = st.session_state
    return state.get(f"{next(iter(keys))}-followed") == {key: state.get(key) for key in keys}


def drop(key: str) -> None:
    """Forget a value, once it has been used."""
    st.session_state.pop(key, None)
    _put(key, None)


def batch(key: str) -> Any:
    """The batch of this sign-in, if it is that of ``key``."""
    return _STORE.batch(_sign_in(), key)


def keep_batch(key: str, value: Any) -> None:
    """Keep one batch for the sign-in; None removes it."""
    if sign_in := _sign_in():
        _STORE.put_batch(sign_in, key, value)


def forget_sign_in() -> None:
    """Delete all that was kept for the sign-in."""
    _STORE.forget(_sign_in())


def _among(value: Any, options: Collection[Any]) -> bool:
    if isinstance(value, list | tuple):
        return all(item in options for item in value)
    return value in options
