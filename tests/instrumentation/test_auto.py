"""`instrument`: classes, objects and modules that exist already, and the very same functions back again."""

import abc
import copy
import gc
import pickle
import pkgutil
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import otel_llm
from otel_llm.errors import ConfigError
from tests.telemetry_in_memory import Seen


class Theirs:
    model_name = "theirs"

    def generate(self, text: str) -> list[str]:
        return text.split()

    def stream(self, text: str) -> Iterator[str]:
        yield from text.split()

    async def agenerate(self, text: str) -> list[str]:
        return self.generate(text)

    @staticmethod
    def words(text: str) -> list[str]:
        return text.split()

    @classmethod
    def made(cls, text: str) -> list[str]:
        return [cls.__name__, *text.split()]

    @property
    def said(self) -> list[str]:
        return ["a"]


class Child(Theirs):
    """Inherits everything."""


class Other(Theirs):
    def generate(self, text: str) -> list[str]:
        return ["other", *super().generate(text)]


class Abstract(abc.ABC):
    @abc.abstractmethod
    def run(self, task: str) -> list[str]: ...


class Concrete(Abstract):
    def run(self, task: str) -> list[str]:
        return task.split()


NAMES = ("generate", "stream", "agenerate", "words", "made", "said")


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    before = {cls: dict(cls.__dict__) for cls in (Theirs, Child, Other, Abstract, Concrete)}
    yield
    otel_llm.uninstrument()
    for cls, members in before.items():
        assert all(cls.__dict__[name] is value for name, value in members.items() if not name.startswith("_abc"))
        assert set(cls.__dict__) <= {*members, "__slotnames__"}  # which pickle leaves behind


def test_no_public_name_hides_a_package_or_a_module() -> None:
    import otel_llm.instrumentation.libraries.adapter as adapter
    import otel_llm.observation

    assert adapter.LibraryTarget.__module__ == "otel_llm.instrumentation.libraries.adapter"
    assert otel_llm.observation.StreamObservation.__name__ == "StreamObservation"
    modules = {info.name for info in pkgutil.iter_modules(otel_llm.__path__)}
    hidden = [
        name for name in modules & set(otel_llm.__all__) if not isinstance(getattr(otel_llm, name), types.ModuleType)
    ]
    assert not hidden


@pytest.mark.parametrize("cls", [Theirs, Child])
def test_every_kind_of_method_of_a_class(seen: Seen, cls: type[Theirs]) -> None:
    otel_llm.instrument(cls, *NAMES, provider="them")
    model = cls()
    assert model.generate("a b") == ["a", "b"]
    assert list(model.stream("a b c")) == ["a", "b", "c"]
    assert model.words("a") == cls.words("a") == ["a"]
    assert cls.made("a") == [cls.__name__, "a"]
    assert model.said == ["a"]
    assert [(span.attributes or {}).get("gen_ai.usage.output_tokens") for span in seen.spans] == [2, None, 1, 1, 2, 1]
    assert {(span.attributes or {})["gen_ai.provider.name"] for span in seen.spans} == {"them"}
    otel_llm.uninstrument(cls)
    model.generate("a b")
    assert len(seen.spans) == 6


def test_a_class_that_inherits_is_measured_and_its_siblings_are_not(seen: Seen) -> None:
    otel_llm.instrument(Child, "generate")
    assert Theirs().generate("a") == ["a"]
    assert Other().generate("a") == ["other", "a"]
    assert not seen.spans
    assert Child().generate("a") == ["a"]
    assert seen.span().name == "chat theirs"
    otel_llm.uninstrument(Child)
    assert "generate" not in Child.__dict__


def test_6_overrides_below_a_class_are_measured_once_those_of_later_classes_too(seen: Seen) -> None:
    otel_llm.instrument(Theirs, "generate")

    class Later(Other):
        def generate(self, text: str) -> list[str]:
            return ["later", *super().generate(text)]

    own = Later.__dict__["generate"].__wrapped__
    assert Other().generate("a") == ["other", "a"]
    assert Later().generate("a") == ["later", "other", "a"]
    assert len(seen.spans) == 2
    otel_llm.uninstrument(Theirs)
    assert Later.__dict__["generate"] is own


def test_6_what_is_abstract_is_measured_where_it_is_written(seen: Seen) -> None:
    otel_llm.instrument(Abstract, "run", model=lambda model: type(model).__name__)
    assert Concrete().run("a b") == ["a", "b"]
    assert seen.span().name == "chat Concrete"
    with pytest.raises(TypeError, match="abstract"):
        Abstract()  # type: ignore[abstract]


def test_an_object_alone_and_its_copies(seen: Seen) -> None:
    model, other = Theirs(), Theirs()
    otel_llm.instrument(model, "generate")
    model.generate("a")
    other.generate("a")
    assert seen.span().name == "chat theirs"
    assert copy.deepcopy(model).generate.__self__ is not model
    assert pickle.loads(pickle.dumps(model)).generate("a") == ["a"]  # noqa: S301  # ours
    otel_llm.uninstrument(model)
    assert vars(model) == {}


def test_an_object_is_not_kept_alive() -> None:
    model = Theirs()
    otel_llm.instrument(model, "generate")
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    otel_llm.uninstrument()


def _library() -> Any:
    library, user = types.ModuleType("their_library"), types.ModuleType("their_app")
    exec("def completion(model, prompt):\n    return prompt.split()", library.__dict__)  # noqa: S102
    client = Theirs()
    library.chat = client.generate  # type: ignore[attr-defined]
    user.ask, user.chat = library.completion, library.chat  # type: ignore[attr-defined]
    return library, user


def test_3_names_that_were_bound_early(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    library, user = _library()
    monkeypatch.setitem(sys.modules, "their_library", library)
    monkeypatch.setitem(sys.modules, "their_app", user)
    completion, bound = library.completion, library.chat
    otel_llm.instrument(library, "completion")
    assert user.ask("tiny", "a b") == ["a", "b"]
    assert seen.span().name == "chat tiny"
    otel_llm.instrument(Theirs, "generate")
    assert user.chat("a") == ["a"]
    assert len(seen.spans) == 2
    otel_llm.uninstrument()
    assert user.ask is library.completion is completion
    assert user.chat is library.chat is bound


def test_3_names_that_were_bound_while_it_was_measured(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    library, user = _library()
    monkeypatch.setitem(sys.modules, "their_library", library)
    monkeypatch.setitem(sys.modules, "their_app", user)
    completion = library.completion
    otel_llm.instrument(library, "completion")
    otel_llm.instrument(Theirs, "generate")
    user.late, kept, bound = library.completion, [library.completion], Theirs().generate
    user.late("tiny", "a")
    otel_llm.uninstrument()
    assert user.late is completion
    assert kept[0]("tiny", "a b") == bound("a b") == ["a", "b"]
    assert len(seen.spans) == 1


def test_twice_is_once(seen: Seen) -> None:
    for _ in range(2):
        otel_llm.instrument(Theirs, "generate")
        otel_llm.instrument(Theirs, "stream", "generate")
    Theirs().generate("a")
    assert len(seen.spans) == 1
    otel_llm.uninstrument(Theirs)
    otel_llm.uninstrument(Theirs)
    Theirs().generate("a")
    assert len(seen.spans) == 1


def test_what_somebody_put_over_it_stays() -> None:
    before = Theirs.__dict__["generate"]
    otel_llm.instrument(Theirs, "generate")
    measured = Theirs.generate
    Theirs.generate = lambda self, text: ["mine"]  # type: ignore[assignment,method-assign]
    otel_llm.uninstrument(Theirs)
    assert Theirs().generate("a") == ["mine"]
    Theirs.generate = before  # type: ignore[method-assign]
    assert measured is not before


class Slotted:
    __slots__ = ()

    def run(self) -> list[str]:
        return []


@pytest.mark.parametrize(
    ("target", "names", "said"),
    [
        (Theirs, (), "expected the names of functions"),
        (Theirs, ("nothing",), "expected a function of Theirs, got 'nothing'; it has .*generate"),
        (Theirs, ("model_name",), "expected a function of Theirs, got 'theirs'; name one that is called"),
        (dict, ("get",), "a class written in Python.*; subclass it"),
        (Slotted(), ("run",), "an object that can be given attributes.*; instrument its class"),
        (Theirs(), ("__call__",), "looked up on the object.*; instrument Theirs"),
        (Theirs(), ("said",), "expected a method of Theirs"),
        (Theirs.generate, ("x",), "expected a class, an object or a module"),
    ],
)
def test_what_cannot_be_measured_is_refused_and_nothing_is_changed(
    target: Any, names: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        otel_llm.instrument(target, *names)
    with pytest.raises(ConfigError):
        otel_llm.instrument(Theirs, "generate", "nothing")
    assert type(Theirs.__dict__["generate"]) is types.FunctionType


def models_seen(seen: Seen) -> list[Any]:
    return [(span.attributes or {}).get("gen_ai.request.model") for span in seen.spans]


class Later:
    def generate(self) -> list[str]:
        return ["a", "b"]

    def other(self) -> list[str]:
        return ["a"]


class LaterStill(Later):
    def generate(self) -> list[str]:
        return super().generate()


TALK: Any = types.ModuleType("talk")
TALK.talk = lambda: ["a"]


def test_what_is_said_last_of_a_class_holds(seen: Seen) -> None:
    originals = Later.__dict__["generate"], LaterStill.__dict__["generate"]
    otel_llm.instrument(Later, "generate", "other", model="a")
    Later().generate()
    otel_llm.instrument(Later, "generate", model="b", tokens=lambda words: 10 * len(words))
    Later().generate()
    LaterStill().generate()

    class LaterAgain(Later):
        def generate(self) -> list[str]:
            return []

    LaterAgain().generate()
    Later().other()
    assert models_seen(seen) == ["a", "b", "b", "b", "a"]
    assert (seen.spans[1].attributes or {})["gen_ai.usage.output_tokens"] == 20
    otel_llm.uninstrument(Later)
    assert (Later.__dict__["generate"], LaterStill.__dict__["generate"]) == originals


def test_what_is_said_last_of_an_object_and_of_a_module_holds(seen: Seen) -> None:
    one = Later()
    for model in ("a", "b"):
        otel_llm.instrument(one, "generate", model=model)
        one.generate()
        otel_llm.instrument(TALK, "talk", model=model)
        TALK.talk()
    assert models_seen(seen) == ["a", "a", "b", "b"]
    otel_llm.uninstrument(one)
    assert "generate" not in vars(one)


def test_a_refused_name_leaves_what_was_said_before(seen: Seen) -> None:
    otel_llm.instrument(Later, "generate", model="a")
    with pytest.raises(ConfigError):
        otel_llm.instrument(Later, "generate", "nothing", model="b")
    Later().generate()
    assert models_seen(seen) == ["a"]


def test_options_for_what_is_measured_by_other_means_are_not_passed_over_in_silence(
    seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    otel_llm.instrument(Later, "generate", model="a")
    otel_llm.instrument(LaterStill(), "other")
    otel_llm.instrument(Later(), "generate")
    assert caplog.text == ""
    otel_llm.instrument(Later(), "generate", model="b")
    assert "generate is measured already, by what was said elsewhere: " in caplog.text


def test_a_library_in_the_place_of_a_module_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(ConfigError, match=r"for a library write instrument\(include=\['openai'\]\)"):
        otel_llm.instrument("openai")
