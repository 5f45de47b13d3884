def descendants(pid):
    """Processes that came of this one, by what Linux tells."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = [int(child) for child in file.read().split()]
    except OSError:
        return []
    return [one for child in children for one in [child, *descendants(child)]]
