"""The table of units: each with its symbols, its names and its size in units that stand above it.

Factors are exact: those of the SI, of the international yard and pound, of the US gallon. What has no exact factor
between them is of two kinds: a month is no number of days, and money is never exchanged.
"""

from __future__ import annotations

DIMENSIONS = ("length", "mass", "time", "month", "current", "temperature", "amount", "luminosity", "angle", "data")
DIMENSIONS += ("level", "unit")

UNITS = """
m | meter metre | length | p
g gm | gram gramme | 1/1000 mass | p
s sec | second | time | p
A | ampere amp | current | p
K | kelvin | temperature | p
mol | mole | amount | p
cd | candela | luminosity | p
rad | radian | angle | p
bit b | bit | data
dB | decibel | level
| unit | unit
° deg | degree | 1/180 pi angle
| arcminute | 1/60 °
arcmin | | 1/60 °
arcsec | arcsecond | 1/3600 °
gon grad | gradian | 1/200 pi angle
rev | revolution rotation | 2 pi angle
sr | steradian | angle^2
µm μm | micron | 1/1000000 m
Å | angstrom ångström | 1/10000000000 m
in | inch | 0.0254 m
ft | foot | 0.3048 m
yd | yard | 0.9144 m
mi | mile | 1609.344 m
| furlong | 660 ft
| fathom | 6 ft
| league | 3 mi
nmi | nauticalmile seamile | 1852 m
au AU | astronomicalunit | 149597870700 m
ly | lightyear | 9460730472580800 m
pc | parsec | 648000 pi^-1 au | p
min | minute | 60 s
h hr | hour | 3600 s
d | day | 86400 s
wk | week | 604800 s
| fortnight | 1209600 s
mo mos | month | month
yr | year | 12 month
| decade | 120 month
| century | 1200 month
| millennium millenium | 12000 month
lb lbm | pound | 0.45359237 kg
t | tonne metricton metrictonne | 1000 kg | n
| ton | 1000 kg | n
| ton shortton | 2000 lb
oz | ounce | 1/16 lb
| stone | 14 lb
cwt | hundredweight | 100 lb
ct | carat | 1/5000 kg
ha | hectare | 10000 m^2
ac | acre | 4840 yd^2
l L ℓ | liter litre | 1/1000 m^3 | p
cc ccm | | 1/1000000 m^3
gal | gallon | 231 in^3
qt | quart | 57.75 in^3
pt | pint | 28.875 in^3
| cup | 14.4375 in^3
floz | fluidounce floz | 1/128 gal
oz | ounce | 1/128 gal
tbsp Tbsp | tablespoon | 1/256 gal
tsp | teaspoon | 1/768 gal
bu | bushel | 2150.42 in^3
pk | peck | 537.605 in^3
Hz | hertz | s^-1 | p
rpm RPM | | rev min^-1
wpm WPM | | min^-1
Bq | becquerel | s^-1 | p
N | newton | kg m s^-2 | p
dyn | dyne | 1/100000 N
kgf | | 9.80665 N
lbf | | 0.45359237 kgf
J | joule | N m | p
Nm | | N m
cal | calorie | 4.184 J | p
Cal | | 4184 J
erg | erg | 1/10000000 J
eV | electronvolt | 1.602176634e-19 J | p
BTU Btu | | 1055.05585262 J
| therm | 105505585.262 J
W | watt | J s^-1 | p
Wh | watthour | 3600 J | p
hp | horsepower | 550 ft lbf s^-1
Pa | pascal | N m^-2 | p
bar | | 100000 Pa
mbar | millibar | 100 Pa
atm | atmosphere | 101325 Pa
Torr torr | torr | 1/760 atm
mmHg | | 133.322387415 Pa
psi | | lbf in^-2
C | coulomb | A s | p
Ah | | 3600 C | p
V | volt | W A^-1 | p
Ω | ohm | V A^-1 | p
S | siemens | A V^-1 | p
F | farad | C V^-1 | p
Wb | weber | V s | p
T | tesla | Wb m^-2 | p
G | gauss | 1/10000 T
H | henry | Wb A^-1 | p
lm | lumen | cd sr | p
lx | lux | lm m^-2 | p
Gy | gray | J kg^-1 | p
Sv | sievert | J kg^-1 | p
kat | katal | mol s^-1 | p
M | molar | 1000 mol m^-3
mM | millimolar | mol m^-3
P | poise | 1/10 Pa s | p
B | byte octet | 8 bit
KiB | kibibyte | 1024 B
MiB | mebibyte | 1024 KiB
GiB | gibibyte | 1024 MiB
TiB | tebibyte | 1024 GiB
kB KB | kilobyte | 1000 B
kB KB | kilobyte | 1024 B
MB | megabyte | 1000000 B
MB | megabyte | 1048576 B
GB | gigabyte | 1000000000 B
GB | gigabyte | 1073741824 B
TB | terabyte | 1000000000000 B
TB | terabyte | 1099511627776 B
PB | petabyte | 1000000000000000 B
kb Kb kbit | kilobit | 1000 bit
Mb Mbit | megabit | 1000000 bit
Gb Gbit | gigabit | 1000000000 bit
bps | | bit s^-1
kbps | | 1000 bps
Mbps | | 1000000 bps
Gbps | | 1000000000 bps
mph | | mi h^-1
kph kmh KPH | | km h^-1
mps | | m s^-1
fps | | ft s^-1
mpg | | mi gal^-1
kn kt | knot | 1852 m h^-1
"""
"""Symbols (case counts), names in the singular (it does not), size; `p` takes the SI's prefixes, `n` in names only.

A word that stands in two rows has two readings: an ounce of weight or of volume, a pound of weight or of money."""

CURRENCIES = """
USD | ¤ US¤ | dollar buck usdollar americandollar | cent penny pennies ¢
EUR | € | euro | cent eurocent ¢
GBP | £ | pound poundsterling britishpound sterling quid | penny pennies pence p
CNY | ¥ RMB CN¥ | yuan renminbi rmb | fen
JPY | JP¥ ¥ | yen
INR | ₹ Rs | rupee | paisa paise
CAD | CA¤ C¤ | canadiandollar | cent ¢
AUD | AU¤ A¤ | australiandollar | cent ¢
NZD | NZ¤ | newzealanddollar | cent ¢
HKD | HK¤ | hongkongdollar
SGD | SG¤ S¤ | singaporedollar | cent ¢
TWD | NT¤ | taiwandollar
MXN | MX¤ | peso mexicanpeso | centavo
PHP | ₱ | peso philippinepeso | centavo
BRL | R¤ | reais | centavo
KRW | ₩ | won
RUB | ₽ | ruble rouble | kopeck kopek
UAH | ₴ | hryvnia
TRY | ₺ | lira
CHF | | franc swissfranc
SEK | | krona kronor
NOK | | krone kroner
DKK | | krone kroner
PLN | zł | zloty
CZK | Kč | koruna
HUF | Ft | forint
ILS | ₪ | shekel
ZAR | | rand
NGN | ₦ | naira
KES | | shilling
GHS | ₵ | cedi
THB | ฿ | baht
MYR | RM | ringgit
IDR | Rp | rupiah
VND | ₫ | dong
PKR | | rupee | paisa paise
BDT | ৳ | taka
AED | | dirham
SAR | | riyal
IRR | | rial
IQD | | dinar
ARS | | peso
CLP | | peso
COP | | peso
BTC | ₿ | bitcoin
"""
"""Codes, signs, names, and the names of the hundredth part: each its own kind. The dollar sign stands as ¤."""

CHINESE = """
米 m;公尺 m;分米 dm;厘米 cm;公分 cm;毫米 mm;微米 µm;纳米 nm;千米 km;公里 km;里 500 m;华里 500 m;光年 ly;海里 nmi
英寸 in;英尺 ft;英里 mi;码 yd;寸 1/30 m;尺 1/3 m;丈 10/3 m
平方米 m^2;平米 m^2;公亩 100 m^2;亩 2000/3 m^2;公顷 ha;顷 200000/3 m^2
升 L;毫升 mL;加仑 gal
克 g;毫克 mg;千克 kg;公斤 kg;斤 1/2 kg;市斤 1/2 kg;两 1/20 kg;吨 t;磅 lb;盎司 oz;克拉 ct
秒 s;秒钟 s;分钟 min;小时 h;个小时 h;钟头 h;个钟头 h;时 h;刻钟 900 s
天 d;日 d;昼夜 d;周 wk;星期 wk;个星期 wk;礼拜 wk;个礼拜 wk
月 month;个月 month;季度 3 month;年 12 month;周年 12 month;周岁 12 month;岁 12 month;世纪 1200 month;旬 10 d
元 CNY;块 CNY;块钱 CNY;元钱 CNY;人民币 CNY;角 1/10 CNY;毛 1/10 CNY;毛钱 1/10 CNY;分钱 1/100 CNY
美元 USD;美金 USD;美分 1/100 USD;欧元 EUR;英镑 GBP;日元 JPY;港元 HKD;港币 HKD;卢布 RUB;韩元 KRW;法郎 CHF;卢比 INR
度 °;摄氏度 ℃;华氏度 ℉;弧度 rad;焦 J;焦耳 J;千焦 kJ;卡 cal;千卡 kcal;大卡 kcal;瓦 W;瓦特 W;千瓦 kW;千瓦时 kWh;度电 kWh
牛 N;牛顿 N;帕 Pa;帕斯卡 Pa;千帕 kPa;赫兹 Hz;赫 Hz;伏 V;伏特 V;安 A;安培 A;欧姆 Ω;欧 Ω;库仑 C;法拉 F;摩尔 mol;开尔文 K
字节 B;比特 bit;兆 MB;单位 unit;个单位 unit;单位长度 unit;个单位长度 unit
分 1/100 CNY;分 min
年级 counted;级 counted;点 counted
"""

IRREGULAR_PLURALS = {
    "feet": "foot",
    "inches": "inch",
    "centuries": "century",
    "millennia": "millennium",
    "henries": "henry",
    "hertz": "hertz",
    "siemens": "siemens",
}

PREFIXES = {
    name: (symbols.split(), power)
    for name, symbols, power in (
        ("quetta", "Q", 30),
        ("ronna", "R", 27),
        ("yotta", "Y", 24),
        ("zetta", "Z", 21),
        ("exa", "E", 18),
        ("peta", "P", 15),
        ("tera", "T", 12),
        ("giga", "G", 9),
        ("mega", "M", 6),
        ("kilo", "k", 3),
        ("hecto", "h", 2),
        ("deca", "da", 1),
        ("deci", "d", -1),
        ("centi", "c", -2),
        ("milli", "m", -3),
        ("micro", "µ μ u", -6),
        ("nano", "n", -9),
        ("pico", "p", -12),
        ("femto", "f", -15),
        ("atto", "a", -18),
        ("zepto", "z", -21),
        ("yocto", "y", -24),
    )
}

ENGLISH_FIRST = {"am", "as", "at", "us", "mad"}
"""What would be rare units, and is a common word: an attometer is written out."""
