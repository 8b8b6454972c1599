"""The shape of a mapping file (字段映射): what a person may write. `mapping_load` checks and compiles it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from connectors.inbound.mapping_model import FieldType, Take
from domain.signals import Confidentiality, Source
from rules.documents import DURATION, SLUG

Format = Literal["csv", "tsv", "xlsx", "json", "ndjson", "xml"]
Encoding = Literal["utf-8", "gb18030", "gbk", "gb2312", "utf-16", "utf-16-le", "utf-16-be"]


class Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the file; unknown keys are refused."""


class FieldDoc(Document, frozen=True, kw_only=True):
    """一个字段：从哪些表头、代码或 JSON 路径取 (a field)."""

    from_: Annotated[tuple[str, ...], Meta(min_length=1, description="表头、代码或路径，先写的优先")] = field(name="from")
    type: Annotated[FieldType, Meta(description="类型")] = "text"
    required: Annotated[bool, Meta(description="为空则退回")] = False
    unit: Annotated[str, Meta(max_length=20, description="没有写明单位时的单位，如 万元")] = ""
    codes: Annotated[dict[str, str], Meta(description="代码表；不在表中的值原样保留")] = {}
    default: Annotated[str, Meta(description="为空时的值")] | None = None
    take: Annotated[Take, Meta(description="路径通向多个值时取哪个")] = "first"
    low: Annotated[float, Meta(description="最小值")] | None = None
    high: Annotated[float, Meta(description="最大值")] | None = None
    beside: Annotated[tuple[str, ...], Meta(description="这些字段都有内容时才取")] = ()
    without: Annotated[tuple[str, ...], Meta(description="这些字段都为空时才取")] = ()


class ExplodeDoc(Document, frozen=True, kw_only=True):
    """嵌套列表或对象，每个元素成为一条记录 (a nested list)."""

    path: Annotated[str, Meta(min_length=1, description="路径，如 metrics 或 bizData.detailData")]
    name: Annotated[str, Meta(min_length=1, description="键（或序号）叫什么")] = "element"
    value: Annotated[str, Meta(min_length=1, description="值叫什么")] = "value"
    also: Annotated[tuple[str, ...], Meta(description="有内容时也各成一条记录的字段")] = ()


class KeywordsDoc(Document, frozen=True, kw_only=True):
    """一条关键词规则 (a keyword rule)."""

    give: Annotated[str, Meta(min_length=1, description="结果")]
    any: Annotated[tuple[str, ...], Meta(description="出现其中一个")] = ()
    all: Annotated[tuple[tuple[str, ...], ...], Meta(description="每组各出现一个")] = ()
    not_: Annotated[tuple[str, ...], Meta(description="一个都不出现")] = field(name="not", default=())


class ChooserDoc(Document, frozen=True, kw_only=True):
    """类型、严重程度或领域怎样判定：先代码表，再关键词，最后缺省值 (a choice)."""

    codes: Annotated[dict[str, dict[str, str]], Meta(description="字段 → 取值 → 结果")] = {}
    read: Annotated[tuple[str, ...], Meta(description="关键词规则读哪些字段")] = ()
    rules: Annotated[tuple[KeywordsDoc, ...], Meta(description="关键词规则，先写的优先")] = ()
    table: Annotated[str, Meta(pattern=SLUG, description="共用的关键词表，在本文件的规则之后")] | None = None
    default: Annotated[str, Meta(description="都不符合时的结果；不写则跳过该记录（类型）")] | None = None


class SkipDoc(Document, frozen=True, kw_only=True):
    """不含内容的记录，如心跳：计数并显示，不成为信号 (records to skip)."""

    reason: Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="原因代号")]
    when: Annotated[dict[str, tuple[str, ...]], Meta(description="字段 → 取值之一；空文字表示字段为空")]


class RejectDoc(Document, frozen=True, kw_only=True):
    """读得出但含义不明的记录：退回并说明原因 (records whose meaning is not clear)."""

    field: Annotated[str, Meta(description="写在退回原因里的字段")]
    why: Annotated[str, Meta(min_length=1, description="原因与处理办法")]
    when: Annotated[dict[str, tuple[str, ...]], Meta(description="字段 → 取值之一；空文字表示字段为空")]


class ObjectDoc(Document, frozen=True, kw_only=True):
    """监管对象由哪些字段说明 (the object)."""

    id: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    address: tuple[str, ...] = ()
    type: tuple[str, ...] = ()


class PlaceDoc(Document, frozen=True, kw_only=True):
    """坐标 (the place)."""

    point: tuple[str, ...] = ()
    lng: tuple[str, ...] = ()
    lat: tuple[str, ...] = ()
    datum: Annotated[Literal["WGS84", "GCJ02", "BD09"], Meta(description="坐标系")] = "WGS84"


class SignalDoc(Document, frozen=True, kw_only=True):
    """信号的各项由哪些字段填，先写的优先；text 依次连接 (where the signal's own places come from)."""

    occurred_at: Annotated[tuple[str, ...], Meta(min_length=1, description="发生时间")]
    object: ObjectDoc = ObjectDoc()
    place: PlaceDoc = PlaceDoc()
    region: tuple[str, ...] = ()
    value: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


class MappingDoc(Document, frozen=True, kw_only=True):
    """一个数据源的字段映射 (the mapping of one feed)."""

    feed: Annotated[str, Meta(pattern=SLUG, description="数据源代号，也是投递目录名")]
    title: Annotated[str, Meta(min_length=1, max_length=100, description="中文名称")]
    source: Annotated[Source, Meta(description="来源类别")]
    formats: Annotated[tuple[Format, ...], Meta(min_length=1, description="接受的格式")]
    fields: Annotated[dict[str, FieldDoc | tuple[str, ...]], Meta(description="字段")]
    key: Annotated[tuple[str, ...], Meta(min_length=1, description="记录编号的组成；a|b 表示先取 a，空则取 b")]
    signal: SignalDoc
    kind: ChooserDoc
    encodings: Annotated[tuple[Encoding, ...], Meta(min_length=1, description="接受的编码，依次尝试")] = ("utf-8", "gb18030")
    confidential: Annotated[Confidentiality, Meta(description="保密级别")] = "internal"
    records: Annotated[tuple[str, ...], Meta(description="JSON 中列表的路径，或 XML 的元素名")] = ()
    explode: ExplodeDoc | None = None
    images: Annotated[tuple[str, ...], Meta(description="base64 图片的路径，换成摘要")] = ()
    zone: Annotated[str, Meta(description="没有写明时区的时间属于哪个时区")] = "Asia/Shanghai"
    dates: Annotated[tuple[str, ...], Meta(min_length=1, description="时间格式")] | None = None
    nulls: Annotated[tuple[str, ...], Meta(description="表示空的写法")] | None = None
    constants: Annotated[dict[str, str], Meta(description="固定的附加字段")] = {}
    personal: Annotated[tuple[str, ...], Meta(description="个人信息字段：只留令牌")] = ()
    personal_when: Annotated[dict[str, dict[str, tuple[str, ...]]], Meta(description="某些取值下才是个人信息的字段")] = {}
    severity: ChooserDoc = ChooserDoc()
    matter: ChooserDoc = ChooserDoc()
    attrs: Annotated[tuple[str, ...], Meta(description="放入附加字段的字段；不写则为未用于信号各项的全部字段")] | None = None
    skip: tuple[SkipDoc, ...] = ()
    reject: tuple[RejectDoc, ...] = ()
    revision: Annotated[bool, Meta(description="同一编号内容变化时作为更正")] = False
    revised_by: Annotated[str, Meta(description="更新时间字段")] | None = None
    future: Annotated[str, Meta(pattern=DURATION, description="允许比接收时间晚多少")] = "5m"
    delay: Annotated[str, Meta(pattern=DURATION, description="通常晚多久到达")] = "0s"
    silent_after: Annotated[str, Meta(pattern=DURATION, description="多久没有数据即视为静默；不写则不监看")] | None = None
    retention: Annotated[str, Meta(pattern=DURATION, description="原始数据保留多久")] = "1095d"


class VocabularyDoc(Document, frozen=True, kw_only=True):
    """共用的关键词表 (a keyword table)."""

    vocabulary: Annotated[str, Meta(pattern=SLUG, description="名称")]
    rules: Annotated[tuple[KeywordsDoc, ...], Meta(min_length=1, description="规则，先写的优先")]
