"""What was taken for what, in lines for a person: before anything is written."""

from __future__ import annotations

from collections.abc import Iterator

from data_prep.counted import counted
from data_prep.sources.own_pictures.assembled import Assembled, WhichPictures
from data_prep.sources.own_pictures.found import Found
from data_prep.sources.own_pictures.look import Looked
from data_prep.sources.own_pictures.roles import Roles, observed_counts

_SHOWN, _EXAMPLES = 12, 3


def told(
    found: Found, roles: Roles, pictures: WhichPictures, looked: Looked, result: Assembled | None
) -> list[str]:
    """Lines; ``result`` is None where the rows cannot be used as they are."""
    return [
        *_files(found, looked),
        *_table(found, roles),
        *_one_sided(found, pictures),
        *_splits(roles, result),
    ]


def _files(found: Found, looked: Looked) -> Iterator[str]:
    yield f"pictures: {len(found.names):,} in {found.files.path}"
    for line in (*found.notes, *looked.lines()):
        yield f"          {line}"


def _table(found: Found, roles: Roles) -> Iterator[str]:
    table = found.table
    yield f"table:    {table.where}: {counted(len(table), 'row')} ({table.form})"
    if found.rule is not None:
        first = table.columns[found.names_column or ""].text(0)
        yield f"names:    column {found.names_column}, by {found.rule}, such as {first} (file=COLUMN chooses another)"
    for name, label in roles.labels.items():
        counts, unknown = observed_counts(table.columns[name], label)
        shown = [f"{value} {count:,}" for value, count in zip(label.spec.values, counts, strict=True)][
            :_SHOWN
        ]
        more = f", and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
        kind = "binary" if label.spec.values == ("no", "yes") else counted(label.spec.cardinality, "value")
        words = [repr(word) for word in label.unknown_words]
        meaning = f" ({', '.join(words)} count as unknown; unknown=WORD,WORD says otherwise)" if words else ""
        yield f"label:    {name}: {kind}: {', '.join(shown)}{more}; unknown {unknown:,}{meaning}"
    for name in roles.factors:
        yield f"factor:   {name}"
    if roles.reference is not None:
        yield f"reference: column {roles.reference}"
    for name, why in roles.left_out.items():
        yield f"left out: {name}: {why}"


def _one_sided(found: Found, pictures: WhichPictures) -> Iterator[str]:
    gone, extra = found.without_picture, found.without_row
    if len(extra):
        names = ", ".join(name.decode() for name in found.names[extra[:_EXAMPLES]].tolist())
        fate = {"all": "refused", "both": "left out", "unlabelled": "for training, without labels"}[pictures]
        yield f"no row:   {counted(len(extra), 'picture')} ({names}, ...): {fate} (pictures=both, pictures=unlabelled)"
    if len(gone) and found.names_column is not None:
        column = found.table.columns[found.names_column]
        names = ", ".join(
            f"{column.text(int(row))!r} in {found.table.row(int(row))}" for row in gone[:_EXAMPLES]
        )
        fate = "left out" if pictures == "both" else "refused (pictures=both leaves them out)"
        yield f"no file:  {counted(len(gone), 'row')} ({names}, ...): {fate}"


def _splits(roles: Roles, result: Assembled | None) -> Iterator[str]:
    if roles.group is not None and roles.split is None:
        yield f"groups:   the rows of one {roles.group} stay in one split (group=COLUMN, group=none)"
    if result is None:
        return
    counts = ", ".join(f"{split} {len(rows.row):,}" for split, rows in result.splits.items())
    yield f"splits:   {counts}: {result.how_split.how} (split=COLUMN, split=none)"
    if result.how_split.divided_groups:
        divided = f"{result.how_split.divided_groups:,} of {roles.group} are in more than one of these"
        yield f"          {divided} (split=none keeps each in one)"
