"""
Countries and territories by their English names: the name model learned addresses, not the map of the world.

Source: ISO 3166-1, in the spelling of everyday English, and the countries of the United Kingdom.
"""

from __future__ import annotations

import re
from typing import Final

_NAMES: Final = """
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
# In small letters these are other words.
_AMBIGUOUS: Final = frozenset(("chad", "china", "guinea", "jersey", "jordan", "mali", "niger", "turkey"))


def _pattern() -> re.Pattern[str]:
    names = [" ".join(name.split()) for name in _NAMES.split(";")]
    anyhow = sorted((name for name in names if name.lower() not in _AMBIGUOUS), key=len, reverse=True)
    spelled = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in anyhow)
    capital = "|".join(f"{name.capitalize()}|{name.upper()}" for name in sorted(_AMBIGUOUS))
    return re.compile(rf"(?<!\w)(?:(?i:{spelled})|{capital})(?!\w)")


COUNTRY: Final = _pattern()
