"""What users bring from Presidio: recognizers, registries, engines, and their YAML configurations."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry

    Brought = EntityRecognizer | RecognizerRegistry | Mapping[str, Any] | str | os.PathLike[str]


def recognizers_from(given: Iterable[Brought] | RecognizerRegistry) -> list[EntityRecognizer]:
    """
    The recognizers that `MaskPII(recognizers=...)` names.

    Args:
        given: Recognizers, registries, Presidio's dictionaries of pattern recognizers, paths of YAML files with a list of those.

    Raises:
        ConfigError: Something is none of them, cannot be read, or needs an NLP engine.
    """
    from presidio_analyzer import EntityRecognizer, RecognizerRegistry  # noqa: PLC0415 - loads presidio
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer  # noqa: PLC0415

    if isinstance(given, str | os.PathLike | Mapping | EntityRecognizer) or not isinstance(
        given, Iterable | RecognizerRegistry
    ):
        raise ConfigError("MaskPII(recognizers=...) takes a list, or a presidio RecognizerRegistry")
    found: list[EntityRecognizer] = []
    for one in [given] if isinstance(given, RecognizerRegistry) else given:
        match one:
            case EntityRecognizer():
                found.append(one)
            case RecognizerRegistry():
                found += one.recognizers
            case Mapping():
                found += _from_dictionary(one, where="a dictionary")
            case str() | os.PathLike():
                found += _from_yaml(Path(one))
            case _:
                raise ConfigError(
                    "MaskPII(recognizers=[...]) takes presidio recognizers, registries, dictionaries of pattern recognizers and "
                    f"paths of YAML files; not {type(one).__name__}"
                )
    for one in found:
        if isinstance(one, SpacyRecognizer):
            raise ConfigError(
                f"MaskPII(recognizers=[...]): {type(one).__name__} reads what an NLP engine wrote; "
                "bring the engine: MaskPII(analyzer=...)"
            )
    return found


def engine_from(given: object) -> AnalyzerEngine:
    """
    The engine that `MaskPII(analyzer=...)` names; one from a YAML file is built without a download.

    Raises:
        ConfigError: It is neither an engine nor the path of a configuration, or its model is not installed.
    """
    from presidio_analyzer import AnalyzerEngine, AnalyzerEngineProvider  # noqa: PLC0415 - loads presidio

    if isinstance(given, AnalyzerEngine):
        return given
    if not isinstance(given, str | os.PathLike):
        raise ConfigError(
            f"MaskPII(analyzer=...) takes a presidio AnalyzerEngine or the path of its YAML file, not {type(given).__name__}"
        )
    path = Path(given)
    # Presidio takes its own defaults, and downloads a model of 400 MB, where a file is missing or wrong.
    content = _yaml(path)
    if not isinstance(content, Mapping) or "nlp_configuration" not in content:
        raise ConfigError(
            f"MaskPII(analyzer={str(path)!r}): the file has no nlp_configuration; presidio would download a model"
        )
    _check_models(content["nlp_configuration"], path)
    try:
        return AnalyzerEngineProvider(analyzer_engine_conf_file=path).create_engine()
    except (ValueError, TypeError, KeyError, ImportError, OSError) as error:
        raise ConfigError(f"MaskPII(analyzer={str(path)!r}): presidio refuses the file: {error}") from error


def _check_models(configuration: object, path: Path) -> None:
    if not isinstance(configuration, Mapping):
        raise ConfigError(f"MaskPII(analyzer={str(path)!r}): nlp_configuration is no mapping")
    if configuration.get("nlp_engine_name") != "spacy":
        return
    for model in configuration.get("models") or ():
        name = model.get("model_name") if isinstance(model, Mapping) else None
        if not isinstance(name, str) or not (_is_installed(name) or Path(name).exists()):
            raise ConfigError(
                f"MaskPII(analyzer={str(path)!r}): the spaCy model {name!r} is not installed here, and nothing is downloaded; "
                "install it first"
            )


def _is_installed(package: str) -> bool:
    return package.isidentifier() and find_spec(package) is not None


def _from_yaml(path: Path) -> list[EntityRecognizer]:
    content = _yaml(path)
    listed = content.get("recognizers") if isinstance(content, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise ConfigError(f"MaskPII(recognizers=[{str(path)!r}]): the file has no list of recognizers")
    return [recognizer for one in listed for recognizer in _from_dictionary(one, where=str(path))]


def _from_dictionary(given: Mapping[str, Any], *, where: str) -> list[EntityRecognizer]:
    from presidio_analyzer import RecognizerRegistry  # noqa: PLC0415

    registry = RecognizerRegistry(recognizers=[])
    try:
        registry.add_pattern_recognizer_from_dict(dict(given))
    except (ValueError, TypeError, KeyError) as error:
        name = given.get("name", "without a name")
        raise ConfigError(
            f"MaskPII(recognizers=[...]): presidio refuses recognizer {name!r} of {where}: {error}"
        ) from error
    return list(registry.recognizers)


def _yaml(path: Path) -> Any:
    import yaml  # noqa: PLC0415

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no YAML: {error}") from None
