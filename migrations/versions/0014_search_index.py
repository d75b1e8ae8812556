"""The state of the index of words and filters, and the words that records have.

Records keep the words of the earlier program until a process that serves has made them anew, which it does at
its start and in the background. pg_trgm is optional: without it nothing is suggested for a search that finds
nothing.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SIMILARITY = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        CREATE INDEX ix_search_words_similar ON search_words USING gin (word gin_trgm_ops);
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'no pg_trgm, so no suggestions: %', SQLERRM;
END
$$
"""
"""The node's role may lack the right to create it, and an external server may lack its files."""


def upgrade() -> None:
    op.create_table(
        "search_index",
        sa.Column(
            "one",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="There is one row.",
        ),
        sa.Column(
            "version",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Of the words and filters of the records; negative while they are made anew for it.",
        ),
        *(
            sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment=comment)
            for name, comment in (
                ("position", "Records up to this local sequence have been made anew."),
                (
                    "until",
                    "Records above this local sequence were written with the words and filters of this"
                    " version.",
                ),
                ("learned", "The words of records up to this local sequence are in search_words."),
            )
        ),
        sa.CheckConstraint("one", name=op.f("ck_search_index_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_search_index")),
    )
    op.execute("INSERT INTO search_index DEFAULT VALUES")
    op.create_table(
        "search_words",
        sa.Column("word", sa.Text(), nullable=False, comment="A word of some record, without accents."),
        sa.Column(
            "written",
            sa.Text(),
            nullable=False,
            comment="The word as a record has it: what is suggested.",
        ),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_search_words")),
    )
    op.execute(SIMILARITY)


def downgrade() -> None:
    raise NotImplementedError("migrations go forwards; restore a backup to go back")
