"""Bodies of the API's requests and answers, as OpenAPI describes them."""

from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from fashion_jax.serving.server.service import MOST_ANSWERS
from fashion_jax.serving.server.uploads import MOST_PHOTOS

Name = Annotated[str, Field(min_length=1, max_length=500)]
Scalar = str | int | float | bool
_Strict = ConfigDict(extra="forbid")


class ConditionBody(BaseModel):
    """A condition on fields, such as price < 50."""

    model_config = _Strict
    field: Name
    operator: Literal["=", "!=", "in", "not in", "<", "<=", ">", ">=", "present", "missing"]
    value: Scalar | list[Scalar] | None = None


class WeightsBody(BaseModel):
    """Weights of a query's parts; see fashion_jax.serving.query.Weights."""

    model_config = _Strict
    photos: float = Field(1.0, ge=0, le=1000)
    like: float = Field(0.75, ge=0, le=1000)
    dislike: float = Field(0.25, ge=0, le=1000)


class SearchBody(BaseModel):
    """A search."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"like": ["00123"], "k": 5, "where": ["price<50", "colour in red,blue"]},
                {"like": ["00123"], "dislike": ["00124"], "by": "photo"},
            ]
        },
    )
    photos: list[Base64Bytes] = Field(
        [], max_length=MOST_PHOTOS, description="files of photos of one garment, in Base64"
    )
    box: str | None = Field(
        None,
        max_length=200,
        description="x,y,width,height of the garment in a single photo, in pixels or fractions",
    )
    k: int = Field(10, ge=1, le=MOST_ANSWERS, description="number of answers")
    by: Name = Field(
        "product", description="answers: product, photo, or a field that groups products"
    )
    where: list[Name | ConditionBody] = Field([], max_length=50)
    like: list[Name] = Field([], max_length=50, description="products or photos to be like")
    dislike: list[Name] = Field([], max_length=50, description="products or photos to be unlike")
    weights: WeightsBody | None = None
    catalogue: Name | None = Field(None, description="by default the first one")


class EmbedBody(BaseModel):
    """Photos to embed."""

    model_config = _Strict
    photos: list[Base64Bytes] = Field(
        min_length=1, max_length=64, description="files of photos, in Base64"
    )


class MarkBody(BaseModel):
    """A right or wrong answer, as a pair of photos."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"first": "a/1.jpg", "second": "b/7.jpg", "decision": "different"}]
        },
    )
    first: Name = Field(description="photo of the query, or product:NAME for its first photo")
    second: Name = Field(description="photo of the answer, or product:NAME")
    decision: Literal["same", "different"]
    comment: str = Field("", max_length=500)
    catalogue: Name | None = Field(None, description="catalogue of product:NAME")


class PhotoAnswer(BaseModel):
    """A photo."""

    rank: int | None = None
    score: float | None = None
    photo_id: str
    product: str
    category: str
    domain: str
    fields: dict[str, Any]


class Answer(BaseModel):
    """A product, a group of products (`by` a field), or a photo (`by` photo)."""

    rank: int
    score: float = Field(description="cosine similarity of the best photo")
    fields: dict[str, Any]
    product: str | None = None
    group: str | None = None
    count: int | None = Field(None, description="number of its photos")
    photos: list[PhotoAnswer] | None = None
    photo_id: str | None = None
    category: str | None = None
    domain: str | None = None


class SearchResult(BaseModel):
    """Answers, best first."""

    catalogue: str
    by: str
    answers: list[Answer]
    matches: int | None = Field(description="photos that meet the conditions")
    notes: list[str]


class ProductResult(BaseModel):
    """A product."""

    catalogue: str
    product: str
    fields: dict[str, Any]
    count: int
    photos: list[PhotoAnswer]


class EmbedResult(BaseModel):
    """L2-normalised embeddings, one row a photo."""

    model: str = Field(description="hash of the weights; embeddings of equal hashes compare")
    embeddings: list[list[float]]


class CatalogueResult(BaseModel):
    """A catalogue."""

    name: str
    photos: int
    fields: dict[str, str] = Field(description="types of the fields, by name")
    categories: list[str]
    model: str
    problem: str = Field(description="why a newer state is not taken up; empty if nothing is wrong")


class CataloguesResult(BaseModel):
    """All catalogues; the first one answers where none is named."""

    catalogues: list[CatalogueResult]


class MarkResult(BaseModel):
    """A mark that was kept."""

    marks: int = Field(description="number of marks in the file")


class ErrorDetail(BaseModel):
    """What is wrong, and what to do."""

    type: str
    message: str


class ErrorResult(BaseModel):
    """The body of every error."""

    error: ErrorDetail
