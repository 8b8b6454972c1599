"""Which kinds of regulated objects the city has, how many of each, and how they are named."""

from __future__ import annotations

import msgspec

FIRST = "云瑞金安丰禾嘉泽盛恒新源泰和兴隆顺达鑫宏华荣海川青蓝星辰"
SECOND = "悦泰康源顺宁和润达茂祥通盈嘉泽峰岳林泉舟帆翔羽晨曦曜"
THIRD = "一元亨利贞福禄德成美家园里居坊轩记"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of object.

    `names` are patterns with {brand}, {district} and {street}; `sign` is the shop sign that people call it by, "" for none.
    `registrar` are the first two characters of its credit code. `listed_by` are ids of departments that list such objects.
    """

    name: str
    count: int
    type: str
    registrar: str = ""
    industry: str = ""
    names: tuple[str, ...] = ()
    sign: str = ""
    listed_by: tuple[str, ...] = ("shichang-jianguan",)
    labels: tuple[str, ...] = ()


_COOKING = ("川菜馆", "面馆", "火锅店", "家常菜馆", "小吃店", "烤肉店", "饺子馆", "羊肉粉店", "砂锅店", "茶餐厅")
_SHOP = ("服装店", "五金店", "文具店", "花店", "手机店", "眼镜店", "家具店", "母婴用品店")

KINDS: tuple[Kind, ...] = (
    Kind(
        name="restaurant", count=3900, type="individual_business", registrar="92", industry="6210",
        names=tuple("{district}{brand}" + word for word in _COOKING), sign="{brand}{word}", labels=("小餐饮",),
    ),
    Kind(
        name="restaurant_company", count=2300, type="enterprise", registrar="91", industry="6210",
        names=("云汀{brand}餐饮管理有限公司", "云汀市{brand}餐饮服务有限公司", "云汀{brand}酒店餐饮有限责任公司"),
        sign="{brand}大酒楼", labels=("大中型餐饮",),
    ),
    Kind(
        name="canteen", count=320, type="institution", registrar="12", industry="6290",
        names=("云汀市{district}{brand}小学食堂", "云汀市{district}{brand}中学食堂", "云汀市{district}{brand}幼儿园食堂"),
        sign="{brand}学校食堂", listed_by=("shichang-jianguan", "jiaoyu"), labels=("学校食堂", "重点监管"),
    ),
    Kind(
        name="supermarket", count=1900, type="enterprise", registrar="91", industry="5212",
        names=("云汀{brand}商贸有限公司", "云汀市{brand}超市有限公司"), sign="{brand}生活超市", labels=("食品销售",),
    ),
    Kind(
        name="food_maker", count=260, type="enterprise", registrar="91", industry="1499",
        names=("云汀{brand}食品有限公司", "云汀市{brand}豆制品有限公司"), labels=("食品生产",),
    ),
    Kind(
        name="lpg_dealer", count=170, type="enterprise", registrar="91", industry="5296",
        names=("云汀{brand}液化气有限公司", "云汀市{district}{brand}液化石油气供应站"), sign="{brand}煤气站",
        listed_by=("zhujian", "xiaofang"), labels=("燃气经营", "重点监管"),
    ),
    Kind(
        name="gas_station", count=190, type="enterprise", registrar="91", industry="5265",
        names=("云汀{brand}加油加气站有限公司",), sign="{brand}加气站",
        listed_by=("shangwu", "yingji", "xiaofang"), labels=("危险化学品经营", "燃气经营"),
    ),
    Kind(
        name="gas_network", count=8, type="enterprise", registrar="91", industry="4511",
        names=("云汀市{district}{brand}天然气管网有限公司",), sign="{district}天然气公司", listed_by=("zhujian",), labels=("管道燃气",),
    ),
    Kind(
        name="property", count=420, type="enterprise", registrar="91", industry="7020",
        names=("云汀{brand}物业服务有限公司",), sign="{brand}物业", listed_by=("zhujian", "shichang-jianguan"), labels=("电梯使用单位",),
    ),
    Kind(
        name="chem_warehouse", count=150, type="enterprise", registrar="91", industry="5942",
        names=("云汀{brand}化工仓储有限公司",), sign="{brand}危化品库",
        listed_by=("yingji", "shengtai", "xiaofang"), labels=("危险化学品储存", "重点监管"),
    ),
    Kind(
        name="chem_maker", count=90, type="enterprise", registrar="91", industry="2669",
        names=("云汀{brand}精细化工有限公司",), listed_by=("yingji", "shengtai"), labels=("危险化学品生产",),
    ),
    Kind(
        name="builder", count=280, type="enterprise", registrar="91", industry="4710",
        names=("云汀{brand}建设工程有限公司", "云汀{brand}建筑有限公司"), listed_by=("zhujian", "renshe"), labels=("施工总承包",),
    ),
    Kind(
        name="labour", count=340, type="enterprise", registrar="91", industry="5013",
        names=("云汀{brand}建筑劳务有限公司",), listed_by=("zhujian", "renshe"), labels=("劳务分包",),
    ),
    Kind(
        name="gym", count=430, type="enterprise", registrar="91", industry="8930",
        names=("云汀{brand}健身服务有限公司", "云汀{brand}体育文化有限公司"), sign="{brand}健身",
        listed_by=("shangwu", "shichang-jianguan"), labels=("单用途预付卡",),
    ),
    Kind(
        name="barber", count=1700, type="individual_business", registrar="92", industry="8040",
        names=("{district}{brand}美发店", "{district}{brand}理发店", "{district}{brand}美容美发中心"), sign="{brand}造型",
        listed_by=("shangwu", "shichang-jianguan"), labels=("单用途预付卡",),
    ),
    Kind(
        name="training", count=760, type="enterprise", registrar="91", industry="8391",
        names=("云汀市{district}{brand}教育培训学校有限公司", "云汀{brand}艺术培训有限公司"), sign="{brand}培训学校",
        listed_by=("jiaoyu", "shichang-jianguan"), labels=("校外培训", "预收费"),
    ),
    Kind(
        name="shop", count=2600, type="individual_business", registrar="92", industry="5299",
        names=tuple("{district}{brand}" + word for word in _SHOP), sign="{brand}{word}",
    ),
    Kind(
        name="company", count=1900, type="enterprise", registrar="91", industry="7519",
        names=("云汀{brand}科技有限公司", "云汀{brand}信息技术有限公司", "云汀{brand}文化传媒有限公司"),
    ),
    Kind(
        name="factory", count=700, type="enterprise", registrar="91", industry="3399",
        names=("云汀{brand}机械制造有限公司", "云汀{brand}包装有限公司"), listed_by=("yingji", "shichang-jianguan"),
    ),
    Kind(
        name="hotel", count=350, type="enterprise", registrar="91", industry="6110",
        names=("云汀{brand}酒店管理有限公司",), sign="{brand}宾馆", listed_by=("gongan", "weijian"),
    ),
    Kind(
        name="clinic", count=260, type="enterprise", registrar="91", industry="8425", names=("云汀{brand}诊所有限公司",),
        sign="{brand}诊所", listed_by=("weijian",),
    ),
    Kind(
        name="pharmacy", count=420, type="enterprise", registrar="91", industry="5251", names=("云汀{brand}大药房有限公司",),
        sign="{brand}药房",
    ),
)  # fmt: skip

COMPOUNDS = 900  # residential compounds (小区), each with elevators
ELEVATORS = 3800
PROJECTS = 400  # construction projects (工程项目)
PIPE_SECTIONS = 64  # sections of the gas network (燃气管段)
