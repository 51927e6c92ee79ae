"""The control that masks personal data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, final

from guardrails import address
from guardrails.core.exposure import CERTAIN, exposures
from guardrails.core.seal import INLINE_CHARACTERS
from guardrails.core.verdict import Finding
from guardrails.errors import Blocked, ConfigError, ControlError, GuardrailsError, Unavailable
from guardrails.pii import scripts
from guardrails.pii.budget import Budget, check_budget
from guardrails.pii.channels import grown_sms
from guardrails.pii.choice import detector, floors_of
from guardrails.pii.detector import WARM_UP, Detector
from guardrails.pii.effort import takes_long
from guardrails.pii.examiners import Examiners
from guardrails.pii.failures import what_failed
from guardrails.pii.lists import Allowed, AllowList, DenyList
from guardrails.pii.memory import SEGMENTS, checked_cache
from guardrails.pii.offline import use_bundled_suffixes
from guardrails.pii.operators import Block, Keep, Operator, OperatorLike, operators_for
from guardrails.pii.operators_keyed import Encrypt, Hash
from guardrails.pii.operators_scoped import ScopedOperators
from guardrails.pii.operators_synthetic import Synthetic
from guardrails.pii.registry import check_names
from guardrails.pii.scoped import ScopedMask
from guardrails.pii.stream import MaskFilter, Masking, exact, masked_whole
from guardrails.pii.vault.bond import bond, check_operators, check_vault
from guardrails.pii.vault.vault import Vault

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry

    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.core.message import Message
    from guardrails.pii.brought import Brought


@final
class MaskPII:
    """
    Masks personal data in what is sent and in what comes back.

    Names of people, places and postal addresses are found by a model, which `guardrails models install` puts here (extra
    `names`); what has a pattern (phone numbers, e-mail addresses, cards, IBANs, US social security numbers, IP and MAC
    addresses, web addresses) by Presidio's recognizers. `names="off"` finds patterns only, and needs no model.

    Nothing is downloaded and no socket is opened: on construction the process-wide extractor of
    tldextract (`tldextract.extract`) is set to the list of public suffixes that ships with it, also for an `analyzer` of
    yours, because Presidio's e-mail recognizer would fetch that list.

    Text is looked at in segments (sentences, at most 2,000 characters at once), so that a stream and a whole text give the
    same result; see `guardrails.pii.sentences`. With `names="off"`, masking a masked text again changes nothing with the
    default operator; a name model reads a masked text anew and may find a little more.

    Args:
        entities: Presidio entity names to look for; None for the default set, or for all that `analyzer` knows.
        names: `"model"` to find names of people, places, postal addresses and numbers of people too, or `"off"`. No model is
            needed where *entities* has none of them, and it says nothing where *analyzer* is given. `"spacy:<package>"`: also
            what that installed spaCy model finds where the name model has at least an inkling. Or a Presidio recognizer of
            names, instead of the model.
        operators: Entity name (or `"DEFAULT"`) to `"replace"` (the default: `<ENTITY_NAME>`), `"partial"`, `"redact"`,
            `"keep"`, `"block"`, `"hash"`, `"encrypt"`, `"pseudonym"`, `"synthetic"`, an object of their classes, or an
            `OperatorConfig` or `Operator` of presidio-anonymizer. Channel or direction to a mapping like this one: goes before
            what is said for all.
        thresholds: Least score (0 to 1) to count as found: one number, or entity name (or `"DEFAULT"`) to number.
            Default 0.35; with `analyzer`, what the engine says. With `analyzer`, thresholds replace its recognizers' own.
        analyzer: A Presidio `AnalyzerEngine` to use instead, exactly as it is, or the path of its YAML configuration.
        recognizers: Presidio recognizers, registries, dictionaries of pattern recognizers, or paths of YAML files with a list
            of those: they find beside ours.
        allow: Exact strings (case matters) and compiled patterns that are never masked; a finding that reaches beyond one is.
        deny: Words that are always masked, as whole words in any case: a list (found as `DENIED`), or entity name to list.
        languages: Codes of the languages of the texts; None for `["en"]`. Each other than English adds what Presidio knows
            for it. The name model reads en, es, fr, de, it, pt and nl.
        countries: Codes of countries whose numbers are looked for too, such as `["uk", "in"]`.
        language: Old name of *languages*, for one.
        vault: Where `"pseudonym"` keeps values, and who owns what; needed by `reply="restore"`.
        own: `"keep"` lets values pass that are the recipient's own (`vault.own`), to a verified address of theirs, and refuses
            those of somebody else (`Blocked("other_subject")`); `"mask"` only refuses; None asks nothing.
        restore_into: Where `reply="restore"` puts values besides texts: `"links"`, `"tools"`.
        learn: Entities whose values in an inbound message are learned to be its sender's own, where the sender's address is
            verified; what is known to be somebody else's is not.
        cache: How many segments that were looked at with a name model are remembered (by keyed digest, per tenant; only what
            was found, never text); 0 for none.
        budget_ms: How long one message may be looked at, in milliseconds; None for as long as the control's deadline.
        over_budget: `"deny"` refuses a message whose budget is over (`Unavailable`); `"patterns"` looks at the rest of it with
            patterns only, and says so in the record.
        name: Stands in records and errors.

    Raises:
        ConfigError: An argument is wrong; says which and what to write.

    >>> MaskPII().mask("Call Ann Smith on +1 212 555 0173 or write to ann@example.com")[0]
    'Call <PERSON> on <PHONE_NUMBER> or write to <EMAIL_ADDRESS>'
    """

    kind: ClassVar[str] = "mask"

    def __init__(
        self,
        *,
        entities: Sequence[str] | None = None,
        names: str | EntityRecognizer = "model",
        operators: Mapping[str, OperatorLike] | None = None,
        thresholds: float | Mapping[str, float] | None = None,
        analyzer: AnalyzerEngine | str | None = None,
        recognizers: Collection[Brought] | RecognizerRegistry = (),
        allow: AllowList = (),
        deny: DenyList = (),
        languages: Sequence[str] | None = None,
        countries: Sequence[str] = (),
        language: str | None = None,
        vault: Vault | None = None,
        own: str | None = None,
        restore_into: Sequence[str] = (),
        learn: Sequence[str] = (),
        cache: int = SEGMENTS,
        budget_ms: float | None = None,
        over_budget: str = "deny",
        name: str = "mask_pii",
    ) -> None:
        check_vault(vault, own, restore_into, learn)
        floor, floors = floors_of(thresholds)
        use_bundled_suffixes()
        self.name = name
        languages = (language or "en",) if languages is None else languages
        if language is not None and tuple(languages) != (language,):
            raise ConfigError("MaskPII(language=...) is the old name of languages=[...]; say it once")
        self._detector: Detector = detector(
            entities=entities,
            names=names,
            floor=floor,
            floors=floors,
            deny=deny,
            recognizers=recognizers,
            analyzer=analyzer,
            languages=languages,
            countries=countries,
        )
        self._names = _shown(names) if self._detector.has_names else "off"
        self._reads_latin = self._detector.has_names and isinstance(names, str)
        # Core masks longer texts of async sends in a worker thread: inference never stalls the loop.
        self.inline_characters: int = 0 if self._detector.has_names else INLINE_CHARACTERS
        self._vault, self._own, self._restore_into = vault, own, tuple(restore_into)
        check_budget(budget_ms, over_budget)
        if analyzer is not None and over_budget != "deny":
            raise ConfigError('MaskPII(over_budget="patterns") has no patterns beside analyzer=; use over_budget="deny"')
        self._budget_ms, self._over_budget = budget_ms, over_budget
        self._scoped = ScopedOperators(operators, self._detector.entities)
        self._operators = self._scoped.general
        check_operators(vault, self._scoped.every())
        check_names(learn, self._detector.entities, argument="learn")
        self._learn = tuple(learn)
        self._plain = operators_for(None, self._detector.entities)  # finding applies no operator that could have effects
        self._allow = Allowed(allow)
        self._left_out = frozenset() if entities is None else CERTAIN - self._detector.entities
        self._allowed = frozenset((one.type, one.value) for word in self._allow.words for one in exposures(word))
        self._languages = tuple(languages)
        self._examiners = Examiners(
            self._detector, self._allow, is_engine=analyzer is not None, segments=checked_cache(cache)
        )
        self._warm = False
        self.open()

    def beneath(self, above: MaskPII, tightness: Callable[[str], Any]) -> MaskPII:
        """
        This control, in whose findings nothing hides what *above* alone would find: for a layer that looks for more.

        Args:
            above: Of the layer that comes first.
            tightness: Of the operator of an entity; larger leaves less of a value.
        """
        self._examiners.beneath(above._examiners, tightness)
        return self

    def open(self) -> None:
        """Load now what would be loaded under the first message, and make sure again that nothing is fetched."""
        use_bundled_suffixes()
        address.load()  # keyed operators normalise what they hash
        if not self._warm:  # once: a guard opens its controls at the first send, perhaps inside an event loop
            self.find(WARM_UP)
            self._warm = True

    def require_production(self) -> None:
        """
        Refuse operators with a key that nobody chose: what they write could not be joined or decrypted elsewhere.

        Raises:
            ConfigError: An operator would use the key file of this machine, or a key that ends with this process.
        """
        for operator in self._scoped.every():
            if isinstance(operator, Hash | Encrypt | Synthetic):
                operator.keys.require_production()
        if self._vault is not None:
            self._vault.require_production()

    @property
    def analyzer(self) -> AnalyzerEngine:
        """The Presidio engine with the same recognizers and thresholds: `analyze(segment)` finds what this control finds."""
        return self._detector.engine

    @property
    def entities(self) -> frozenset[str]:
        """What this control can find."""
        return self._detector.entities

    def keeps(self, channel: str, direction: str) -> frozenset[str]:
        """What is found in such a message and left as it is, by its operator."""
        return frozenset(one for one, how in self._scoped.of(channel, direction).items() if isinstance(how, Keep))

    def blocks(self, channel: str, direction: str) -> frozenset[str]:
        """What is found in such a message and refuses it, by its operator."""
        return frozenset(one for one, how in self._scoped.of(channel, direction).items() if isinstance(how, Block))

    def find(self, text: str, /) -> list[Finding]:
        """
        What is found in *text*: in order, without overlaps, as code points of *text*.

        Raises:
            ControlError: Detection failed; the error names the recognizer and holds no text.
        """
        done = masked_whole(Masking(self._examiners.usual, self._plain), text, self._failed)
        del text  # no frame of the error holds it
        if isinstance(done, GuardrailsError):
            raise done
        return [Finding(found.type, found.start, found.end, found.score) for found in done[1]]

    def mask(self, text: str, /) -> tuple[str, list[Finding]]:
        """
        The masked text, and what was found, each finding with the place of its replacement in `placed`.

        Text outside of findings is unchanged.

        Raises:
            ControlError: Detection or an operator failed; the error says which and holds no text.
            Blocked: An entity was found whose operator is `"block"`.
        """
        done = masked_whole(self._masking(), text, self._failed)
        del text
        if isinstance(done, GuardrailsError):
            raise done
        return done

    def unread(self, text: str, /) -> Mapping[str, int]:
        """
        Script to number of letters in *text* that the name model does not read, for the record; empty without one.

        A recognizer of names that a user brought may read any script.
        """
        return scripts.unread(exact(text)) if self._reads_latin else {}

    def is_opaque(self, identifier: str, /) -> bool:
        """
        Whether no pattern finds anything in an id.

        Names are not looked for: the model reads sentences, and what it says about `thread-7f3c` is noise.
        """
        return not self._examiners.ids.examine(exact(identifier), ())

    def allows(self, entity: str, value: str, /) -> bool:
        """
        Whether a value may go out as it is: its operator is "keep", it is in `allow`, or `entities=` leaves its kind out.

        Args:
            entity: What the door's own detector takes it for.
            value: In the spelling of `guardrails.core.exposure`.
        """
        return self._lets_pass(self._operators, entity, value)

    def takes_long(self, text: str, /) -> bool:
        """Whether core is to mask this text of an async send in a worker thread although it is short."""
        return takes_long(text)

    def filter(self) -> MaskFilter:
        """A fresh filter that masks a stream, however it is cut; holds back at most one segment."""
        return MaskFilter(self._masking, self._failed)

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:
        """Forward the call with every part masked, and mask the reply as the call says."""
        budget = None if self._budget_ms is None else Budget(self._budget_ms, self._over_budget)
        masker = self._for(call.message, dry=call.dry_run, budget=budget)
        masked = await call.masked(masker, io)
        lesson = getattr(masker, "lesson", None)
        if lesson:
            await io.ask(blocking=lesson.learn)
        if budget is not None:
            budget.close()
            if budget.exceeded:
                call.note("allow", detail={"budget_ms": f"{self._budget_ms:g}", "degraded": self._over_budget})
        if (grown := grown_sms(call.message, masked.message)) is not None:
            call.note("allow", detail=grown)
        reply = await forward(masked)
        return await call.masked_reply(reply, masker, io)

    @property
    def restores(self) -> bool:
        """Whether `reply="restore"` can be obeyed."""
        return self._vault is not None

    def _for(self, message: Message, *, dry: bool, budget: Budget | None) -> MaskPII | ScopedMask:
        """The mask for *message*: this control, unless something is its own."""
        operators = self._scoped.of(message.channel, message.direction)
        examiner = self._examiners.of(message.tenant)
        if budget is not None:
            examiner = examiner.within(budget)
        of_streams = self._examiners.speech if message.channel == "voice" else None
        vault = self._vault
        if vault is None and operators is self._operators and examiner is self._examiners.usual and of_streams is None:
            return self
        return ScopedMask(
            examiner,
            operators,
            self._failed,
            inline_characters=0 if vault is not None and vault.blocks else self.inline_characters,
            lets_pass=partial(self._lets_pass, operators),
            of_streams=of_streams,
            bond=None
            if vault is None
            else bond(vault, message, own=self._own, restore_into=self._restore_into, learn=self._learn, dry=dry),
        )

    def _lets_pass(self, operators: Mapping[str, Operator], entity: str, value: str) -> bool:
        if entity in self._left_out or (entity, value) in self._allowed or (0, len(value)) in self._allow.places(value):
            return True
        return isinstance(operators.get(entity), Keep)

    def _masking(self) -> Masking:
        return Masking(self._examiners.usual, self._operators)

    def _failed(self, error: Exception) -> GuardrailsError:
        if isinstance(error, Blocked):
            return Blocked(error.reason, findings=error.findings, control=self.name)
        if isinstance(error, Unavailable):
            return Unavailable(str(error), control=self.name)
        return ControlError(f"{self.name}: {what_failed(error)}; the text was refused", control=self.name)

    def __repr__(self) -> str:
        return (
            f"MaskPII(entities={sorted(self.entities)}, names={self._names!r}, operators={self._operators!r}, "
            f"allow={len(self._allow)} entries, languages={list(self._languages)!r}, name={self.name!r})"
        )


def _shown(names: object) -> str:
    return names if isinstance(names, str) else type(names).__name__
