"""
Countries, territories and large cities: the name model learned addresses, not the map of the world.

Source: ISO 3166-1, in the spelling of everyday English, and the countries of the United Kingdom; capitals, and cities that people
write about, in English and in the languages that the name model reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

_COUNTRIES: Final = """
Afghanistan; Albania; Algeria; America; American Samoa; Andorra; Angola; Anguilla; Antigua and Barbuda; Argentina;
Armenia; Aruba; Australia; Austria; Azerbaijan; Bahamas; Bahrain; Bangladesh; Barbados; Belarus; Belgium; Belize;
Benin; Bermuda; Bhutan; Bolivia; Bosnia and Herzegovina; Botswana; Brazil; British Virgin Islands; Brunei; Bulgaria;
Burkina Faso; Burundi; Cambodia; Cameroon; Canada; Cape Verde; Cayman Islands; Central African Republic; Chad; Chile;
China; Christmas Island; Colombia; Comoros; Congo; Cook Islands; Costa Rica; Croatia; Cuba; Curaçao; Cyprus; Czech
Republic; Czechia; Côte d'Ivoire; Democratic Republic of the Congo; Denmark; Djibouti; Dominica; Dominican Republic;
Ecuador; Egypt; El Salvador; England; Equatorial Guinea; Eritrea; Estonia; Eswatini; Ethiopia; Falkland Islands; Faroe
Islands; Fiji; Finland; France; French Guiana; French Polynesia; Gabon; Gambia; Georgia; Germany; Ghana; Gibraltar;
Great Britain; Greece; Greenland; Grenada; Guadeloupe; Guam; Guatemala; Guernsey; Guinea; Guinea-Bissau; Guyana;
Haiti; Holland; Honduras; Hong Kong; Hungary; Iceland; India; Indonesia; Iran; Iraq; Ireland; Isle of Man; Israel;
Italy; Ivory Coast; Jamaica; Japan; Jersey; Jordan; Kazakhstan; Kenya; Kiribati; Korea; Kuwait; Kyrgyzstan; Laos;
Latvia; Lebanon; Lesotho; Liberia; Libya; Liechtenstein; Lithuania; Luxembourg; Macao; Macedonia; Madagascar; Malawi;
Malaysia; Maldives; Mali; Malta; Marshall Islands; Martinique; Mauritania; Mauritius; Mayotte; Mexico; Micronesia;
Moldova; Monaco; Mongolia; Montenegro; Montserrat; Morocco; Mozambique; Myanmar; Namibia; Nauru; Nepal; Netherlands;
New Caledonia; New Zealand; Nicaragua; Niger; Nigeria; Niue; Norfolk Island; North Korea; North Macedonia; Northern
Ireland; Northern Mariana Islands; Norway; Oman; Pakistan; Palau; Palestine; Panama; Papua New Guinea; Paraguay; Peru;
Philippines; Poland; Portugal; Puerto Rico; Qatar; Reunion; Romania; Russia; Rwanda; Saint Barthélemy; Saint Helena;
Saint Kitts And Nevis; Saint Lucia; Saint Vincent And The Grenadines; Samoa; San Marino; Sao Tome And Principe; Saudi
Arabia; Scotland; Senegal; Serbia; Seychelles; Sierra Leone; Singapore; Slovakia; Slovenia; Solomon Islands; Somalia;
South Africa; South Korea; South Sudan; Spain; Sri Lanka; Sudan; Suriname; Swaziland; Sweden; Switzerland; Syria;
Taiwan; Tajikistan; Tanzania; Thailand; Timor-Leste; Togo; Tokelau; Tonga; Trinidad and Tobago; Tunisia; Turkey;
Turkmenistan; Turks And Caicos Islands; Tuvalu; U.S. Virgin Islands; U.S.A.; UAE; USA; Uganda; Ukraine; United Arab
Emirates; United Kingdom; United States; Uruguay; Uzbekistan; Vanuatu; Vatican; Vatican City; Venezuela; Vietnam;
Wales; Western Sahara; Yemen; Zambia; Zimbabwe; Åland Islands
"""
# Left out are those that are first names or everyday words as well: Nice, Reading, Bath, Mobile, Split, Cork, Sofia.
_CITIES: Final = """
Aberdeen; Abidjan; Abu Dhabi; Abuja; Accra; Addis Ababa; Ahmedabad; Aleppo; Algiers; Amman; Amsterdam; Ankara;
Antwerp; Asuncion; Athens; Athen; Athènes; Atlanta; Auckland; Baghdad; Baku; Baltimore; Bamako; Bangalore; Bengaluru;
Bangkok; Barcelona; Barcelone; Beijing; Beirut; Belfast; Belgrade; Berlin; Berlín; Berlino; Bern; Bilbao; Birmingham;
Bogota; Bogotá; Bologna; Bordeaux; Boston; Brasilia; Brasília; Bratislava; Bremen; Brighton; Brisbane; Bristol;
Brussels; Bruxelles; Brüssel; Bucharest; Budapest; Buenos Aires; Busan; Cairo; Calgary; Canberra; Cape Town; Caracas;
Cardiff; Casablanca; Chennai; Chicago; Cleveland; Colombo; Cologne; Copenhagen; Coventry; Cracow; Krakow; Kraków;
Dakar; Dallas; Damascus; Dar es Salaam; Delhi; New Delhi; Denver; Detroit; Dhaka; Doha; Dortmund; Dresden; Dubai;
Dublin; Durban; Düsseldorf; Edinburgh; Edmonton; Eindhoven; Frankfurt; Geneva; Genève; Genoa; Ghent; Glasgow;
Gothenburg; Göteborg; Guadalajara; Guangzhou; The Hague; Den Haag; Hamburg; Hanoi; Harare; Havana; Helsinki; Ho Chi
Minh City; Honolulu; Houston; Hyderabad; Indianapolis; Istanbul; Jakarta; Jeddah; Jerusalem; Johannesburg; Kabul;
Kampala; Kansas City; Karachi; Kathmandu; Khartoum; Kigali; Kingston; Kinshasa; Kolkata; Köln; Kuala Lumpur; Kuwait
City; Kyiv; Kiev; Kyoto; La Paz; Lagos; Lahore; Las Vegas; Leeds; Leicester; Leipzig; Lille; Lisbon; Lisboa; Lissabon;
Liverpool; Ljubljana; London; Londres; Londra; Los Angeles; Luanda; Lucknow; Lusaka; Luxemburg; Lyon; Lyons; Madrid;
Malaga; Málaga; Manchester; Manila; Marrakech; Marseille; Marseilles; Mecca; Medellín; Melbourne; Memphis; Mexico
City; Miami; Milan; Milano; Mailand; Milwaukee; Minneapolis; Mogadishu; Mombasa; Monterrey; Montevideo; Montreal;
Montréal; Moscow; Moskau; Mumbai; Munich; München; Nairobi; Nantes; Naples; Napoli; Nashville; New Orleans; New York;
New York City; Newcastle; Norwich; Nottingham; Nürnberg; Nuremberg; Osaka; Oslo; Ottawa; Palermo; Panama City; Paris;
Parigi; Perth; Philadelphia; Phnom Penh; Pittsburgh; Plymouth; Porto Alegre; Portsmouth; Prague; Prag; Praga;
Pretoria; Pune; Pyongyang; Quebec; Québec; Quito; Rabat; Rangoon; Yangon; Reykjavik; Riga; Rio de Janeiro; Riyadh;
Rome; Roma; Rotterdam; Sacramento; Salvador; San Antonio; San Diego; San Francisco; San Jose; San Juan; Santo Domingo;
Sao Paulo; São Paulo; Sarajevo; Seattle; Seoul; Sevilla; Seville; Shanghai; Sheffield; Shenzhen; Southampton; Soweto;
St. Louis; St. Petersburg; Stockholm; Strasbourg; Stuttgart; Surabaya; Sydney; Taipei; Tallinn; Tampa; Tashkent;
Tbilisi; Tehran; Tel Aviv; Thessaloniki; Tijuana; Tokyo; Tokio; Toronto; Toulouse; Tripoli; Tunis; Turin; Torino;
Ulaanbaatar; Utrecht; Vancouver; Venice; Venezia; Vienna; Wien; Vilnius; Warsaw; Warschau; Warszawa; Washington DC;
Wellington; Winnipeg; Wrocław; Yerevan; Yokohama; Zagreb; Zaragoza; Zurich; Zürich
"""
# In small letters these are other words.
_AMBIGUOUS: Final = frozenset(
    ("chad", "china", "guinea", "jersey", "jordan", "kingston", "mali", "niger", "turkey", "wellington")
)


_WORD: Final = re.compile(r"\w+")


def known_places(text: str) -> Iterator[tuple[int, int]]:
    """
    Start and end of each country and city in *text*, as whole words.

    >>> list(known_places("from ROME to New York, with fine china"))
    [(5, 9), (13, 21)]
    """
    end = 0
    for word in _WORD.finditer(text):
        first = word.group().lower()
        if first in _BY_FIRST_WORD and word.start() >= end:
            found = _beginning_with(first).match(text, word.start())
            if found is not None:
                end = found.end()
                yield found.span()


@cache
def _beginning_with(first: str) -> re.Pattern[str]:
    names = _BY_FIRST_WORD[first]
    anyhow = sorted((name for name in names if name.lower() not in _AMBIGUOUS), key=len, reverse=True)
    spelled = [re.escape(name).replace(r"\ ", r"\s+") for name in anyhow]
    capital = [form for name in names if name.lower() in _AMBIGUOUS for form in (name, name.upper())]
    return re.compile(rf"(?:{'|'.join((*(f'(?i:{one})' for one in spelled), *capital))})(?!\w)")


def _by_first_word() -> dict[str, list[str]]:
    """Of several hundred names only those are tried that begin with the very word."""
    names: dict[str, list[str]] = {}
    for name in f"{_COUNTRIES};{_CITIES}".split(";"):
        spaced = " ".join(name.split())
        names.setdefault(_WORD.findall(spaced)[0].lower(), []).append(spaced)
    return names


_BY_FIRST_WORD: Final = _by_first_word()
