"""The product tree of a CSAF document: each product with its names and its version.

Branches name a vendor, a product and a version in any order (CSAF 2.1, 3.1.2.2). A product below a version
has that version, whatever lies between them: an architecture, a language, a patch level. A product "A
installed on B" is A in its version; B is not affected by that.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from federation.domain.errors import Invalid
from federation.domain.formats import cpe, purl
from federation.domain.formats.csaf_versions import is_plain

MAX_PRODUCTS = 20_000
"""Products of one document, at most."""


class _Identification(msgspec.Struct):
    cpe: str = ""
    purl: str = ""
    purls: tuple[str, ...] = ()  # CSAF 2.1


class _Named(msgspec.Struct):
    product_id: str
    name: str = ""
    product_identification_helper: _Identification | None = None


class _Branch(msgspec.Struct):
    category: str = ""
    name: str = ""
    branches: tuple[_Branch, ...] = ()
    product: _Named | None = None


class _Relationship(msgspec.Struct):
    product_reference: str
    full_product_name: _Named


class _Path(msgspec.Struct):
    beginning_product_reference: str
    full_product_name: _Named


class _Group(msgspec.Struct):
    group_id: str
    product_ids: tuple[str, ...] = ()


class Tree(msgspec.Struct):
    """The members of a product tree that are read."""

    branches: tuple[_Branch, ...] = ()
    full_product_names: tuple[_Named, ...] = ()
    relationships: tuple[_Relationship, ...] = ()  # CSAF 2.0
    product_paths: tuple[_Path, ...] = ()  # CSAF 2.1
    product_groups: tuple[_Group, ...] = ()


class TreeProduct(msgspec.Struct, frozen=True):
    """A product of the tree: its names, and its version or a range of versions."""

    names: tuple[str, ...]
    branch: tuple[str, str]
    """Vendor and product of the branches above it."""
    identity: str
    """The first of its identifiers; empty where it has none."""
    version: str
    """A version, or a range of them, as the document writes it; empty for every version."""
    is_range: bool = False
    qualifiers: tuple[str, ...] = ()
    """More that it takes to be this product, such as an architecture."""
    train: tuple[str, ...] = ()
    """The branches above its version."""

    @property
    def words(self) -> str:
        """Its version in words."""
        version = self.version or "every version"
        return f"{version} ({', '.join(self.qualifiers)})" if self.qualifiers else version


def read_products(tree: Tree) -> dict[str, TreeProduct]:
    """The products of the tree by their ids. Raises Invalid for more than ``MAX_PRODUCTS``."""
    products: dict[str, TreeProduct] = {}
    for named in tree.full_product_names:
        _add(products, named.product_id, _read_listed(named))
    for branch in tree.branches:
        for product_id, product in _products_below(branch, _Position()):
            _add(products, product_id, product)
    relations = [(r.product_reference, r.full_product_name) for r in tree.relationships]
    relations += [(p.beginning_product_reference, p.full_product_name) for p in tree.product_paths]
    components = {named.product_id: (reference, named) for reference, named in relations}
    for product_id, (_, named) in components.items():
        _add(products, product_id, _component(product_id, components, products) or _read_listed(named))
    return products


def read_groups(tree: Tree) -> dict[str, tuple[str, ...]]:
    """The products of each group."""
    return {group.group_id: group.product_ids for group in tree.product_groups}


def _add(products: dict[str, TreeProduct], product_id: str, product: TreeProduct) -> None:
    if products.setdefault(product_id, product) != product:
        raise Invalid(f"{product_id[:80]!r} is the id of two products", pointer="/product_tree")
    if len(products) > MAX_PRODUCTS:
        raise Invalid(f"it names more than {MAX_PRODUCTS} products", pointer="/product_tree")


def _component(
    product_id: str, components: dict[str, tuple[str, _Named]], products: dict[str, TreeProduct]
) -> TreeProduct | None:
    """The product that is a component of another one, or installed on it; None where nothing names it."""
    visited: set[str] = set()
    reference = product_id
    while reference in components and reference not in visited:
        visited.add(reference)
        reference = components[reference][0]
        if len(visited) > MAX_NESTED_COMPONENTS:
            return None
    return products.get(reference)


MAX_NESTED_COMPONENTS = 50
"""Components of components that are followed to the product that has the version."""


class _Position(msgspec.Struct, frozen=True):
    """The branches above a branch, as far as they name a product."""

    vendor: str = ""
    family: str = ""
    product: str = ""
    version: str = ""
    is_range: bool = False
    qualifiers: tuple[str, ...] = ()
    train: tuple[str, ...] = ()


def _below(branch: _Branch, position: _Position) -> _Position:
    """The position below a branch."""
    replace = msgspec.structs.replace
    name = branch.name.strip()
    train = (*position.train, name)
    if branch.category in ("product_version", "product_version_range"):
        is_range = branch.category == "product_version_range"
        return replace(position, version=name, is_range=is_range)
    if branch.category in ("service_pack", "patch_level") and is_plain(name) and "." in name:
        return replace(position, version=name, is_range=False)
    match branch.category:
        case "vendor":
            return replace(position, vendor=name, train=train)
        case "product_family" if not position.product:
            return replace(position, family=name, train=train)
        case "product_name" if position.product and position.version:
            # Another product below a version: that is not its version.
            return replace(position, product=name, version="", is_range=False, qualifiers=(), train=train)
        case "product_name":
            return replace(position, product=name, train=train)
        case "product_family":
            return replace(position, train=train)
    qualifier = f"{branch.category.replace('_', ' ')} {name}".strip()
    return replace(position, qualifiers=(*position.qualifiers, qualifier))


def _products_below(branch: _Branch, above: _Position) -> Iterator[tuple[str, TreeProduct]]:
    position = _below(branch, above)
    if branch.product is not None:
        yield branch.product.product_id, _product(branch.product, position)
    for inner in branch.branches:
        yield from _products_below(inner, position)


def _product(named: _Named, position: _Position) -> TreeProduct:
    helper = named.product_identification_helper or _Identification()
    strong = list(_identifiers(helper))
    product = position.product or position.family
    version, is_range = position.version, position.is_range
    if not is_range and not is_plain(version) and (identified := _identified_version(helper)):
        version = identified  # "openssl-1:1.1.1k-5.el8.x86_64" names more than a version
    names = [*strong]
    if position.vendor and product:
        names.append(f"cpe:{position.vendor}:{product}")
    names += [f"name:{name}" for name in (product, named.name) if name]
    names = list(dict.fromkeys(name.lower() for name in names))
    branch = (position.vendor.lower(), product.lower()) if product else ("", names[0] if names else "")
    identity = strong[0].lower() if strong else ""
    return TreeProduct(tuple(names), branch, identity, version, is_range, position.qualifiers, position.train)


def _read_listed(named: _Named) -> TreeProduct:
    """A product that no branch names: its version is that of its identifiers, or it ends its name."""
    helper = named.product_identification_helper or _Identification()
    names = list(_identifiers(helper))
    version = _identified_version(helper)
    head, _, last = named.name.strip().rpartition(" ")
    if head and is_plain(last):
        version = version or last
        names.append(f"name:{head.strip()}")
    names = list(dict.fromkeys(name.lower() for name in (*names, f"name:{named.name}") if name != "name:"))
    is_range = not is_plain(version)  # then it is in words
    first = names[0] if names else ""
    identity = "" if first.startswith("name:") else first
    return TreeProduct(tuple(names), ("", first), identity, named.name if is_range else version, is_range)


def _identifiers(helper: _Identification) -> Iterator[str]:
    for uri in (helper.purl, *helper.purls):
        if name := purl.identity_of(uri):
            yield name
    if name := cpe.identity_of(helper.cpe):
        yield name


def _identified_version(helper: _Identification) -> str:
    """The version in a package URL or a CPE."""
    for uri in (helper.purl, *helper.purls):
        package = purl.parse_purl(uri)
        if package is not None and package.version:
            epoch = dict(package.qualifiers).get("epoch", "")
            is_number = epoch.isascii() and epoch.isdigit() and ":" not in package.version
            return f"{epoch}:{package.version}" if is_number else package.version
    platform = cpe.parse_cpe(helper.cpe)
    return platform.version if platform is not None and platform.version not in ("*", "-") else ""
