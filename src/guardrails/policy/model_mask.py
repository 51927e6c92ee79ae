"""What a policy says about personal data."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from guardrails.policy.operator import Operator
from guardrails.policy.order import DeniedWords, Fewer, Lower, More, Names, Operators, PerEntity, Ranked
from guardrails.policy.setting import Mode, Settings, says
from guardrails.policy.values import Duration, NamesText, PatternText
from guardrails.policy.words import MODE, MODE_SAYS, Entity, PathText, Score, Text

_OPERATORS: Final = PerEntity(Operators(), otherwise=Operator("replace"))
_SEGMENTS: Any = Field(ge=0, le=1_000_000)


class Mask(Settings):
    """What personal data is found, and what becomes of it: `MaskPII`."""

    mode: Annotated[Mode | None, MODE] = says(MODE_SAYS, otherwise="enforce")
    names: Annotated[NamesText | None, Names()] = says(
        'whether names of people and places are found: "off", "model" (the installed one), "spacy:PACKAGE" (that one too)',
        otherwise="model",
    )
    entities: list[Entity] | None = says("what is looked for; below the platform write `more_entities`")
    more_entities: Annotated[list[Entity] | None, More()] = says("what is looked for besides", otherwise=[])
    countries: Annotated[list[Text] | None, More()] = says(
        'countries whose numbers are looked for too, such as "uk" or "in"', otherwise=[]
    )
    recognizers: Annotated[list[PathText] | None, More()] = says(
        "YAML files with lists of Presidio recognizers, which find besides", otherwise=[]
    )
    analyzer: PathText | None = says("the YAML file of a Presidio `AnalyzerEngine` that finds instead, exactly as it is")
    operators: Annotated[dict[Entity, Operator] | None, _OPERATORS] = says(
        "what becomes of each entity; `DEFAULT` stands for all others", default="replace"
    )
    inbound: Annotated[dict[Entity, Operator] | None, _OPERATORS] = says(
        "what becomes of each entity in messages that come in; `DEFAULT` stands for all that are not named here. "
        "Left out: `operators`"
    )
    outbound: Annotated[dict[Entity, Operator] | None, _OPERATORS] = says("the same for messages that go out")
    thresholds: Annotated[dict[Entity, Score] | None, PerEntity(Lower())] = says(
        "least score that counts as found, 0 to 1; `DEFAULT` stands for all others. "
        "Below the platform only where the platform gives one"
    )
    allow: Annotated[list[Text] | None, Fewer()] = says("exact strings that are never masked", otherwise=[])
    allow_patterns: Annotated[list[PatternText] | None, Fewer()] = says(
        "regular expressions whose matches are never masked", otherwise=[]
    )
    deny: Annotated[list[Text] | dict[Entity, list[Text]] | None, DeniedWords()] = says(
        "words that are always masked: a list (found as `DENIED`), or entity to list", otherwise=[]
    )
    languages: Annotated[list[Text] | None, More()] = says("codes of the languages of texts", otherwise=["en"])
    language: Text | None = says("the old name of `languages`, for one")
    budget: Annotated[Duration | None, Lower()] = says(
        "how long a message may be looked at; below the platform only where it says so"
    )
    over_budget: Annotated[Literal["patterns", "deny"] | None, Ranked("patterns", "deny")] = says(
        "what happens to a message that takes longer", otherwise="deny"
    )
    own: Annotated[Literal["keep", "mask"] | None, Ranked("keep", None, "mask")] = says(
        '"keep": one\'s own data passes to a verified address of one\'s own, somebody else\'s refuses; "mask": it only refuses'
    )
    learn: list[Entity] | None = says("entities that are learned to be their sender's own, from messages that come in")
    restore_into: Annotated[list[Literal["links", "tools"]] | None, Fewer()] = says(
        'where `reply="restore"` puts values besides texts', otherwise=[]
    )
    cache: Annotated[int, _SEGMENTS] | None = says(
        "segments that were looked at with a name model and are remembered; 0: none"
    )
