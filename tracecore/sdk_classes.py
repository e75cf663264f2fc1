"""What isinstance() says of our classes where opentelemetry-sdk is installed: they stand for its classes.

Code written for opentelemetry-sdk asks ``isinstance(span, opentelemetry.sdk.trace.ReadableSpan)``. Nothing of ours
imports that package, so nothing of ours can derive from it. But isinstance() also asks an object's ``__class__``, and
that may be answered when the question comes:

    our class       its SDK class                answer of __class__
    cdef            any                          a class derived from it, with the methods of ours  (`of_core`)
    Python          of ABCMeta                   the object's own type, registered there            (`StandIn`)
    Python          any other                    a class made of the object's own type and the SDK's
    enumeration                                  the SDK's enumeration                              (`StandInMember`)

The SDK's class is the one in sys.modules at that moment; where it is not loaded, ``__class__`` is the object's own type.
type() tells the truth always. What this cannot do: ``issubclass`` before the first isinstance, and ``is`` between
members of the two packages' enumerations (`==` and hash() hold).

The class made of both has the user's own class before all others, so that ``self.__class__.attribute`` finds what
it would have found. Setting a class attribute through it, and calling it, go to the user's class.

Threads: any. A class costs one more, made at the first question and let go with it.
"""

from __future__ import annotations

import enum
import functools
import sys
from abc import ABCMeta
from collections.abc import Callable
from typing import Any, Final, TypeVar

__all__ = ["StandIn", "StandInMember", "of_core", "stands_for"]

C = TypeVar("C", bound=type)

_ROLE: Final = "_tracecore_sdk_class"
"""Class attribute: module and name of the class of opentelemetry-sdk that this one stands for."""

_ANSWER: Final = "_tracecore_answer"
"""Class attribute: the SDK's class that was asked about last, and what `__class__` answers for it.

Kept in the class itself and not in a table: the two go together when nobody needs the class any more.
"""

_OF_A_TYPE: Final = frozenset({"__class__", "__dict__", "__doc__", "__init__", "__new__", "__pyx_vtable__", "__weakref__"})
"""What is in the dict of a type and belongs to that type alone."""

_ROOT: Final = __name__.partition(".")[0] + "."


def stands_for(module: str, name: str) -> Callable[[C], C]:
    """Return a decorator of a StandIn or StandInMember: the class stands for ``module.name``, where that is loaded."""

    def decorate(cls: C) -> C:
        setattr(cls, _ROLE, (module, name))
        return cls

    return decorate


class StandIn:
    """A base of classes that stand for one of opentelemetry-sdk, and of what a user derives from them."""

    __slots__ = ()

    def _class_of(self) -> type:
        cls = type(self)
        for base in cls.__mro__:
            # Several stand for something: a processor of a class whose module is not loaded is a SpanProcessor still.
            role = base.__dict__.get(_ROLE)
            if role is not None and (sdk_class := _loaded(*role)) is not None:
                known = cls.__dict__.get(_ANSWER)
                if known is not None and known[0] is sdk_class:
                    return known[1]  # type: ignore[no-any-return]
                return _learn(cls, base, sdk_class)
        return cls

    def _set_class_of(self, cls: type) -> None:
        vars(object)["__class__"].__set__(self, cls)

    # Not a decorated method: "__class__" in a body of functions is what super() uses.
    __class__ = property(_class_of, _set_class_of)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Reduce as object does, but by type(): pickle refuses where an object's type and `__class__` differ."""
        reduced = object.__reduce_ex__(self, max(2, int(protocol)))
        if isinstance(reduced, tuple):
            makers = {"__newobj__": _make, "__newobj_ex__": _make_by_keywords}
            if (maker := makers.get(getattr(reduced[0], "__name__", ""))) is not None:
                return maker, *reduced[1:]
        return reduced


class StandInMember:
    """A base of enumerations that stand for one of opentelemetry-sdk: members equal those of the same name there."""

    __slots__ = ()

    def _class_of(self) -> type:
        return _loaded(*getattr(type(self), _ROLE)) or type(self)

    __class__ = property(_class_of)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        cls = type(other)
        if isinstance(other, enum.Enum) and (cls.__module__, cls.__name__) == getattr(type(self), _ROLE):
            return _name(self) == other.name
        return NotImplemented

    def __hash__(self) -> int:
        return hash(_name(self))  # as every Enum does

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Enum's own goes by __class__, and a copy would be the SDK's member.
        return getattr, (type(self), _name(self))


def _name(member: Any) -> str:
    return member._name_  # type: ignore[no-any-return]


def of_core(module: object, name: str, own: type) -> type | None:
    """Return what ``__class__`` of a class of the core answers; None where `module` is not ready to be asked.

    That is a class derived from the SDK's, with everything in it that `own` has: ``span.__class__.set_attribute(span, ...)``
    calls the method of `own`, as code that wraps spans and tracers wants.
    """
    found = getattr(module, name, None)
    if found is None:
        return None
    if not _is_foreign(found):
        return own
    if (known := _answers.get((own, found))) is not None:
        return known
    names: dict[str, Any] = {"__module__": own.__module__, "__qualname__": own.__qualname__}
    for base in reversed(own.__mro__[:-1]):
        for key, value in vars(base).items():
            if key not in _OF_A_TYPE:
                is_method = callable(value) and not key.startswith("__")
                names[key] = _taking_wrapped(value, own) if is_method else value
    return _answers.setdefault((own, found), type(found)(own.__name__, (found,), names))


_answers: Final[dict[tuple[type, type], type]] = {}
"""By the core's class and the SDK's: one, unless a test puts another module in the SDK's place."""


def _taking_wrapped(method: Callable[..., Any], own: type) -> Callable[..., Any]:
    """Return `method` of `own` as a function that also takes what is wrapped around an instance, as the SDK's would.

    Proxies (wrapt's, say) call ``tracer.__class__.start_span(self, ...)`` with themselves as `self`.
    """

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        while not issubclass(type(self), own):
            self = self.__wrapped__
        return method(self, *args, **kwargs)

    return call


def _is_foreign(found: object) -> bool:
    """Whether this is a class of another package: test suites put our classes in the place of the SDK's."""
    return isinstance(found, type) and not any(base.__module__.startswith(_ROOT) for base in found.__mro__)


def _loaded(module: str, name: str) -> type | None:
    found = getattr(sys.modules.get(module), name, None)
    return found if found is not None and _is_foreign(found) else None


def _learn(cls: type, base: type, sdk_class: type) -> type:
    answer = cls
    if not issubclass(cls, sdk_class):
        if isinstance(sdk_class, ABCMeta):
            sdk_class.register(base)
        else:
            answer = _both(cls, sdk_class)
    type.__setattr__(cls, _ANSWER, (sdk_class, answer))
    return answer


class _Quiet:
    """Stands before a user's class in a class that is none of the user's: no hook is told of it."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass


def _both(cls: type, sdk_class: type) -> type:
    """Return a class that is a subclass of both and otherwise behaves as `cls`; `cls` itself where none can be made."""
    metaclass = type(cls)

    def forward_set(self: type, name: str, value: object) -> None:
        setattr(cls, name, value)

    def forward_delete(self: type, name: str) -> None:
        delattr(cls, name)

    def forward_call(self: type, *args: Any, **kwargs: Any) -> Any:
        return cls(*args, **kwargs)

    plain = ABCMeta if issubclass(metaclass, ABCMeta) else type
    forwarding: Any = type(
        metaclass.__name__,
        (metaclass,),
        {
            "__new__": plain.__new__,  # the user's metaclass is not told either
            "__init__": type.__init__,
            "__call__": forward_call,
            "__setattr__": forward_set,
            "__delattr__": forward_delete,
        },
    )
    names = {"__slots__": (), "__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    try:
        return forwarding(cls.__name__, (_Quiet, cls, sdk_class), names)  # type: ignore[no-any-return]
    except TypeError:  # their memory layouts or method orders cannot be joined
        return cls


def _make(cls: type, *args: Any) -> object:
    return cls.__new__(cls, *args)


def _make_by_keywords(cls: type, args: tuple[Any, ...], keywords: dict[str, Any]) -> object:
    return cls.__new__(cls, *args, **keywords)
