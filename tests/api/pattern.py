"""pattern.py - does a JSON value look like what a case expects?

A pattern is JSON. Objects match when every key of the pattern is there and matches; other keys may be there too,
unless the pattern holds "<only>": true. Arrays match element by element; a last element "<...>" lets more follow.
Strings of this form stand for more than themselves:

    "<any>"         anything, null too          "<absent>"      the key is not there
    "<int>"         a whole number              "<number>"      any number
    "<string>"      a string, not empty         "<bool>"        true or false
    "<id:resp_>"    the prefix and 20 or more letters or digits
    "<re:^a.*z$>"   a string in which the expression is found
    "<int:1..9>"    a whole number in a range, ends included
    "<keep:NAME>"   a string, not empty, that later requests and replies of the file call <kept:NAME>
"""
import re


kept = {}  # of the file that runs


def with_kept(text):
    """The text with what was kept in the place of its names."""
    return re.sub(r"<kept:(\w+)>", lambda m: kept[m[1]], text)


def _is_int(v):
    return isinstance(v, int) and not isinstance(v, bool)


def _named(name, v):
    if name == "any":
        return True
    if name == "int":
        return _is_int(v)
    if name == "number":
        return _is_int(v) or isinstance(v, float)
    if name == "string":
        return isinstance(v, str) and v != ""
    if name == "bool":
        return isinstance(v, bool)
    if name.startswith("id:"):
        return isinstance(v, str) and re.fullmatch(re.escape(name[3:]) + "[A-Za-z0-9]{20,}", v) is not None
    if name.startswith("re:"):
        return isinstance(v, str) and re.search(name[3:], v) is not None
    if name.startswith("keep:"):
        kept[name[5:]] = v
        return isinstance(v, str) and v != ""
    if name.startswith("int:"):
        low, high = name[4:].split("..")
        return _is_int(v) and int(low) <= v <= int(high)
    raise ValueError(f"no such pattern: <{name}>")


def _object(want, got, at):
    if not isinstance(got, dict):
        return f"{at}: expected an object, got {got!r}"
    for key, w in want.items():
        if key == "<only>":
            extra = set(got) - set(want)
            if extra:
                return f"{at}: unexpected keys {sorted(extra)}"
        elif w == "<absent>":
            if key in got:
                return f"{at}.{key}: expected nothing, got {got[key]!r}"
        elif key not in got:
            return f"{at}.{key}: is missing"
        else:
            why = mismatch(w, got[key], f"{at}.{key}")
            if why:
                return why
    return None


def _array(want, got, at):
    if not isinstance(got, list):
        return f"{at}: expected an array, got {got!r}"
    more = bool(want) and want[-1] == "<...>"
    if more:
        want = want[:-1]
    if len(got) < len(want) or (len(got) > len(want) and not more):
        return f"{at}: expected {len(want)} elements, got {len(got)}: {got!r}"
    for i, w in enumerate(want):
        why = mismatch(w, got[i], f"{at}[{i}]")
        if why:
            return why
    return None


def mismatch(want, got, at="reply"):
    """None when got matches, else what is wrong where."""
    if isinstance(want, dict):
        return _object(want, got, at)
    if isinstance(want, list):
        return _array(want, got, at)
    if isinstance(want, str) and "<kept:" in want:
        want = with_kept(want)
    if isinstance(want, str) and want.startswith("<") and want.endswith(">"):
        return None if _named(want[1:-1], got) else f"{at}: expected {want}, got {got!r}"
    same = want == got and isinstance(want, bool) == isinstance(got, bool)
    return None if same else f"{at}: expected {want!r}, got {got!r}"
