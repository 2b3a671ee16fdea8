"""Packing and unpacking bundles, under the names of the published package."""

from __future__ import annotations

from sensenet.formats.smbundle.container import read_bundle, write_bundle

__all__ = ["read_bundle", "write_bundle"]
