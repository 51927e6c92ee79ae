"""Everyday words that say nothing about anybody, by the languages that the name model reads. No code."""

from __future__ import annotations

from typing import Final

# Left out is what is a name as well: will, may, mark, eve, day, min, an, do, in, so, to.
SENTENCE: Final = """
about after again all also am and any are as at back be because been before both but by cannot could did does doing done don't
either else every for from get getting go goes going gone got had has have he her here hers him his how if instead into is it
it's its just let like made make more most much need needs never nearly next nor not nothing now of off often on once only or
other our ours out over own please put really said same see seen she should since some soon still such than that the their
theirs them then there these they thing things this those though through til till today tomorrow tonight too until up upon
very want wants was way we were what when where which while who whom whose why with within without would yes yesterday yet you
your yours minute minutes hour hours days week weeks month months year years morning afternoon evening night monday tuesday
wednesday thursday friday saturday sunday
"""
CHAT: Final = """
aight alrite alright asap atm bcoz bcos bcum brb btw bday coz cos cuz cya dat dis dunno evng ffs fyi gd gt gonna goin gotta
gud haha hahaha hehe hey hi hiya hello hmm idk ill im imma imo ish ive jk k kk kinda lemme lol lmao lt luv mate mins mornin
mrng msg muah mwah nah nite nope np nvm ok okay omg ooh oops oredi outta pls plz ppl rofl sry sup tbh thanx thks thnx thru thx
tmr tmrw tmw tmorrow tomo tomorow tomarrow ttyl txt u ur ure w wana wanna wat wats wif wiv woz wud xo xx xxx ya yea yeah yep
yup babe baby babes bae boyfriend daddy dad darlin darling dear dude girlfriend girl girls gorgeous grandma grandpa guys hun
hunny honey lover lovely mom mommy mum mummy sis sweetheart sweetie sweety
"""
PROGRAMS: Final = """
api bash count css data docker error html false http https id java javascript json kotlin line linux message none null nginx
number python return size sql status true type undefined url user uuid value xml yaml version aud brl cad chf cny czk dkk eur
gbp hkd huf inr jpy krw mxn nok nzd pln rub sek sgd thb usd zar
"""
# Function words, days, times of day and what a reminder is made of. Left out is what is a name, a town or a street as well: Dan,
# Ella, Elle, Al, Di, Mo, Das, Ma, Lei, Ho, Son, Julio, Abril, Domingo, Domenica, Porto, Rue, Quinta.
LANGUAGES: Final = """
aber alle alles als am auf aus bis bitte da dann dass dem denn der die dir doch ein eine einen einer es f\u00fcr ganz gerade
gerne gleich haben hast hat hatte heute hier ich ihnen ihr ihre ihren im ist jetzt kann kein keine k\u00f6nnen leider mehr
mein mit morgen nach nicht noch nur oder schon sehr sein seit sich sie sind uhr um und uns unser vom von vor wann war was wer
wie wieder wir wird wollen zu zum zur montag dienstag mittwoch donnerstag freitag samstag sonntag abend mittag nachmittag
vormittag nacht januar februar m\u00e4rz juli oktober dezember danke hallo g\u00fcltig alors apr\u00e8s au aujourd aussi aux
avant avec bient\u00f4t bonjour bonsoir c'est ce cet cette chez comme dans demain depuis deux en est et \u00eatre fait faites
ici il ils je jusqu la le les leur lui mais merci mes midi moi mon nous on ou o\u00f9 par pas pendant plus pour quand que qui
quoi sans ses soir sont sous suis sur tes toi ton tous tout tr\u00e8s tu un une vers veuillez voici votre vous lundi mardi
mercredi jeudi vendredi samedi dimanche prochain janvier f\u00e9vrier juillet ao\u00fbt septembre octobre novembre
d\u00e9cembre magasin matin ahora algo antes aqu\u00ed a\u00f1o ayer bien buenas buenos cada como con cu\u00e1ndo cuando del
desde despu\u00e9s el ellos entre esa ese eso esta est\u00e1 este esto fue gracias hace hasta hay hola hora las llega los
luego mas m\u00e1s ma\u00f1ana me mis muy ni no nos nosotros nuestra nuestro o otra para por porque puede pues qu\u00e9
s\u00ed sin sobre su sus tambi\u00e9n tarde tengo tiene todo todos tus una unos usted ustedes vamos y lunes martes
mi\u00e9rcoles jueves viernes s\u00e1bado noche enero febrero marzo junio agosto septiembre octubre noviembre diciembre
cumplea\u00f1os jaja jajaja bebidas llevo adesso alla anche ancora buon buona buonasera buongiorno che ci ciao ci\u00f2 cosa
cos\u00ec cui dal dalla dalle dei della delle dopo dove e \u00e8 essere fra gi\u00e0 gli grazie hai hanno in io loro mentre
mio molto nel nella noi non nostro oggi ogni ore per perch\u00e9 per\u00f2 pi\u00f9 poi prego prima quale quando quello
questa questo sar\u00e0 sempre senza s\u00ec solo sono sta sua sul sulla suo tra tutti tutto uno voi vostro luned\u00ec
marted\u00ec mercoled\u00ec gioved\u00ec venerd\u00ec sabato domani ieri sera notte mattina pomeriggio gennaio febbraio
aprile maggio giugno luglio settembre ottobre dicembre chiuso aperto bere a\u00ed ainda amanh\u00e3 ao aos aqui as \u00e0s
at\u00e9 boa com de depois do dos ela ele eles em essa esse eu foi hoje isso j\u00e1 lhe meu minha muito na n\u00e3o nas nem
n\u00f3s nossa nosso num obrigada obrigado ol\u00e1 ontem os pela pelo pode qual quem s\u00e3o ser\u00e1 seu tamb\u00e9m tem
tenho ter tudo uma voc\u00ea voc\u00eas segunda ter\u00e7a quarta sexta feira janeiro fevereiro mar\u00e7o junho julho
setembro outubro novembro dezembro aan bij dat deze dit door doe een er even gaan geen goede haar had heb hebben heeft hem
het hij hoe ik is jij jou jouw jullie klaar komt maar meer met mij mijn naar niet nog nu of om onder ons onze ook op over
staat tegen tot u uit uur uw van vandaag vanavond veel vind voor waar wat we wel wij word wordt zeer zich zij zijn zou leuk
straks maandag dinsdag woensdag donderdag vrijdag zaterdag zondag dag ochtend middag januari februari maart nieuwjaar
verjaardag haha mvg groetjes
"""
# What is counted, measured or numbered and is no part of an address; behind "room" or "floor" a number may be one.
COUNTED: Final = """
aisle chapter code desk exit gate half job lane line odds page platform queue row sales seat shelf size sort step support table
volume window
mon tue tues wed thu thur thurs fri sat
ms sec mmol mol mg ml cl dl cm mm km kg kwh kw mw gb mb kb tb hz mhz ghz px pt
"""
