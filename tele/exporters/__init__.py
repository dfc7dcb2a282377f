"""Hand on: one file for each format, all of one shape.

The formats of a chain of reasoning have `suffix`, `media_type` and `write(chain, **options) -> str`; those that can be
read back without loss have `read(text) -> Chain`.
"""

from tele.exporters.chains import CHAIN_FORMATS, export_chain, read_chain

__all__ = ["CHAIN_FORMATS", "export_chain", "read_chain"]
