"""
Names that the name model cannot see, by what is said around them. Pure; standard library only.

1. In scripts that the model does not read: behind a greeting, a title or a label, before an honorific ("Уважаемый Иван",
   "王小明先生", "박지영님"). Without such a word nothing is found.
2. In Latin letters: names that are everyday words as well ("Will", "Hope"), in capitals, where a sentence has a person. What a
   month could be needs more.

Sources: forms of address of the languages; the commonest surnames of China (census of 2020) and of Korea (2015).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_CYRILLIC: Final = r"[А-ЯЁІЇЄҐ][а-яёіїєґ'’-]+"
_GREEK: Final = r"[Α-ΩΆΈΉΊΌΎΏ][α-ωάέήίόύώϊϋΐΰς]+"
_HAN: Final = "[\u4e00-\u9fff\u3005]"
_KANA: Final = "[\u30a1-\u30f6\u30fc]"
_HANGUL: Final = "[\uac00-\ud7a3]"
_ARABIC: Final = "[\u0621-\u064a\u0670-\u06d3]+"
_HEBREW: Final = "[\u05d0-\u05ea]+"
_HINDI: Final = "[\u0900-\u0963\u0970-\u097f]+"
_THAI: Final = "[\u0e01-\u0e4e]{2,30}"
_CHINESE_SURNAMES: Final = (
    "[王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓韩冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范"
    "汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常張劉陳楊黃趙吳孫馬羅鄭謝許鄧韓馮葉蘇]"
)
_KOREAN_SURNAMES: Final = "[김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민]"

# Each finds one name, in its group.
_OTHER_SCRIPTS: Final[tuple[re.Pattern[str], ...]] = (
    re.compile(
        r"(?<!\w)(?i:уважаем(?:ый|ая)|дорог(?:ой|ая)|здравствуй(?:те)?|привет|добр(?:ый день|ый вечер|ое утро|ого дня)|меня зовут"
        r"|мене звати|имя|ім['’]я|фамилия|отчество|фио|клиент|получатель|отправитель|пациент|господин|госпожа|г-н|г-жа|пан|пані"
        r"|шановн(?:ий|а)|с уважением|з повагою)[,:!\s]{1,4}(?i:(?:господин|госпожа|пан|пані)\s+)?"
        rf"(?!(?:Ваш|Вы|Вам|Вас|Мы|Это|Спасибо|Наш|По|На|Для|Как|Если|Вот|Клиент|Пользователь|Покупатель)[а-я]{{0,2}}\b)"
        rf"({_CYRILLIC}(?:\s{_CYRILLIC}){{0,2}})"
    ),
    re.compile(rf"(?<!\w)((?:{_CYRILLIC}\s){{0,2}}[А-ЯЁ][а-яё]+(?:ович|евич|ьич|овна|евна|ична)(?:\s{_CYRILLIC})?)(?!\w)"),
    re.compile(rf"(?:\A|\n)(?!Уважаем|Дорог|Здравствуй|Привет|Добр|Шановн)({_CYRILLIC}\s{_CYRILLIC})(?=[,!]\s)"),
    re.compile(
        r"(?<!\w)(?i:αγαπητ(?:έ|ή)|κύριε|κυρία|γεια σ(?:ου|ας)|με λένε"
        r"|ονομάζομαι|όνομα|επώνυμο|ονοματεπώνυμο|καλημέρα|με εκτίμηση"
        rf"|πελάτης|παραλήπτης)[,:!\s]{{1,4}}(?i:(?:κύριε|κυρία)\s)?(?!Η\s|Το\s|Ο\s|Σας\s|Πελάτ)"
        rf"({_GREEK}(?:\s{_GREEK}){{0,2}})"
    ),
    re.compile(
        r"(?:尊敬的|亲爱的|我叫|我的名字是|姓名|名字|收件人|收货人|联系人|患者)(?:是|[：:\s])*"
        rf"(?!客户|用户|顾客|会员|先生|女士|家长|同事|朋友|各位|老师)({_HAN}{{2,4}}?)(?=先生|女士|小姐|太太|老师|经理|医生|[，,。.；;\s]|\Z)"
    ),
    re.compile(rf"({_CHINESE_SURNAMES}{_HAN}{{1,2}}?)(?=先生|女士|小姐|太太|老师|经理|医生|您好|你好)"),
    re.compile(rf"(?<!{_HAN})({_CHINESE_SURNAMES})(?=先生|女士|小姐|太太|老师|经理|医生)"),
    re.compile(
        r"(?<![お御皆各\u4e00-\u9fff\u3005])(?!奥[様さ]|神様|王様|何|皆|客|各|娘|息子)"
        rf"({_HAN}{{1,4}}(?:[ \u3000]?{_HAN}{{1,4}})?|{_KANA}{{2,12}})"
        r"(?<!ユーザー)(?<!オーナー)(?<!メーカー)(?<!会員)(?<!皆)(?<!客)(?=様|さま|さん|殿(?!堂))"
    ),
    re.compile(rf"(?:氏名|お名前|名前|宛名)(?:は|[：:\s])\s*((?:{_HAN}|{_KANA}){{2,12}}?)(?=です|[、。\s]|\Z)"),
    re.compile(rf"(?:私は|わたしは|僕は|私の名前は)((?:{_HAN}|{_KANA}){{2,12}}?)(?=です|と申します|といいます|と言います)"),
    re.compile(
        rf"(?<!{_HANGUL})(?!고객|선생|주인|이용|손님|유저|구매|하청|장인|신청|주문|안내)({_KOREAN_SURNAMES}{_HANGUL}{{1,2}})"
        r"(?=\s?(?:님|씨|고객님|선생님|대리|과장|부장|팀장|환자)(?![가-힣]*(?:라면|니다)))"
    ),
    re.compile(
        rf"(?:이름|성명|성함|수령인|받는 ?분)(?:은|는|[:：\s])\s*({_HANGUL}{{2,4}}?)(?=입니다|이에요|예요|[,.\s]|\Z)"
    ),
    re.compile(
        rf"(?<!{_HANGUL})(?:저는|제 이름은|나는)\s({_KOREAN_SURNAMES}{_HANGUL}{{1,2}})(?=입니다|이라고|라고|이에요|예요|이야)"
    ),
    re.compile(
        r"(?<!\w)(?:مرحبا|مرحباً|أهلا|أهلاً|عزيزي|عزيزتي)\s(?:السيد(?:ة)?\s)?(?!بك|العميل|عميل)"
        rf"({_ARABIC}(?:\s{_ARABIC})?)(?=\s?[،,!.\n]|\Z)"
    ),
    re.compile(
        r"(?<!\w)(?:السيد|السيدة|الأستاذ|الأستاذة|الدكتور|الدكتورة|اسمي|الاسم|الإسم)\s?[:\s]\s?"
        rf"({_ARABIC}(?:\s(?!و){_ARABIC})?)"
    ),
    re.compile(rf"(?<!\w)(?:שלום|היי|הי|בוקר טוב)\s(?!לך|לכם|רב)({_HEBREW}(?:\s{_HEBREW})?)(?=[,!.])"),
    re.compile(rf"(?<!\w)(?:שמי|קוראים לי|מר|גב['׳]|גברת|לכבוד|שם(?: מלא)?:)\s({_HEBREW}(?:\s{_HEBREW})?)"),
    re.compile(
        rf"(?<!\w)(?:प्रिय|नमस्ते|श्री|श्रीमती|मेरा नाम|नाम:?)\s(?!ग्राहक)({_HINDI}(?:\s(?!जी|है){_HINDI})?)(?=\s?(?:जी|है|[,!।])|\s|\Z)"
    ),
    re.compile(rf"(?:เรียน\s?คุณ|(?<![\u0e01-\u0e4e])คุณ\s|ชื่อ\s?:\s?)({_THAI})"),
)

_EVERYDAY: Final = """
Will Bill Hope Faith Grace Joy Mark Rich Summer Autumn Dawn Rose Art Sunny Chase Hunter Chance Sky Skye Star Olive Ivy Iris Violet
Daisy Lily Holly Heather Hazel Amber Ruby Pearl Jade Crystal Ginger Sage Basil Frank Ernest Guy Dean Rob Sue Pat Drew Carol Melody
Harmony Destiny Trinity Serenity Charity Patience Prudence Constance Victor Miles Rusty Sandy Robin Jay Colt Brook Cliff Glen
Heath Reed Clay Woody Angel Jack Nick Buck Chuck Dash Wade Gene Ray Penny Fern Misty Candy Honey Bliss Hank Tad Skip Lance Jet
"""
_MONTHS: Final = "April May June"
_WORD: Final = f"(?:{'|'.join(_EVERYDAY.split())})"
_OR_MONTH: Final = f"(?:{'|'.join((*_EVERYDAY.split(), *_MONTHS.split()))})"
_PEOPLE: Final = (
    "tell|told|ask|asked|met|meet|remind|wife|husband|son|daughter|sister|brother|mother|father|mom|mum|dad|aunt|uncle|friend|"
    "partner|colleague|boss|named|called|hi|hello|hey|dear"
)
_NEAR_PEOPLE: Final = f"{_PEOPLE}|with|thanks|thank|that|call|text|email|see|saw|told by|and"
_DOES: Final = "called|texted|emailed|wrote|phoned|messaged|joined|replied|asked|said|told|texts|emails"
_TO_SOMEBODY: Final = "your|you|we|this|please|thanks|thank|it|the|can|could|just|don't|are|is|how|our|here|ur|i"
_END: Final = r"(?![\w'’-])(?!\s[A-Z][a-z]|\s\d)"
_LATIN: Final[tuple[re.Pattern[str], ...]] = (
    re.compile(rf"(?:\A|\n|[.!?]\s)({_OR_MONTH})(?=,\s(?i:{_TO_SOMEBODY})\b)"),
    re.compile(rf"\b(?i:{_PEOPLE})\s({_OR_MONTH}){_END}"),
    re.compile(rf"\b(?:{_NEAR_PEOPLE})\s({_WORD}){_END}"),
    re.compile(rf"(?<![\w'’-])({_WORD})(?=(?:,\s|\sand\s){_OR_MONTH}{_END})"),
    re.compile(rf"(?<![\w'’-]){_WORD}(?:,\s|\sand\s)({_OR_MONTH}){_END}"),
    re.compile(rf"(?<![\w'’-])({_OR_MONTH})(?=\s(?:{_DOES})\b)"),
    re.compile(
        r"(?i:\b(?:assigned to|assignee|reviewer|reviewed by|signed|reporter|attn|driver|courier|agent|customer|patient))"
        rf"\s?[:=]?\s?({_OR_MONTH})(?=[;,.\n]|\Z)"
    ),
)
_ANY_EVERYDAY: Final = re.compile(rf"\b{_OR_MONTH}\b")


def said_names(text: str) -> Iterator[tuple[int, int]]:
    """
    Start and end of each such name in *text*; some overlap.

    >>> list(said_names("Tell Bill to pay the bill in May")), list(said_names("Уважаемый Иван, ваш заказ готов"))
    ([(5, 9)], [(10, 14)])
    """
    if not text.isascii():
        for pattern in _OTHER_SCRIPTS:
            yield from (match.span(1) for match in pattern.finditer(text))
    if _ANY_EVERYDAY.search(text) is not None:
        for pattern in _LATIN:
            yield from (match.span(1) for match in pattern.finditer(text))
