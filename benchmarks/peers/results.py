"""All that was measured, and finding one's way in it."""

import measure


class Results:
    """Rows as `Measurements` gives them."""

    def __init__(self, rows):
        self.rows = rows

    def programs(self):
        return list(dict.fromkeys(row["program"] for row in self.rows))

    def lossy(self):
        return [row for row in self.rows if "squared_error" in row]

    def sources(self):
        """Sources that were packed with loss."""
        return list(dict.fromkeys(row["source"] for row in self.lossy()))

    def curve(self, source, program):
        """Points of a program on a source, fewest bits first."""
        points = [row for row in self.lossy() if row["source"] == source and row["program"] == program]
        return sorted(points, key=measure.rate)

    def lossless_sources(self, kind):
        """Sources of a format that were packed without loss."""
        rows = [row for row in self.rows if "squared_error" not in row and row["format"] == kind]
        return list(dict.fromkeys(row["source"] for row in rows))

    def lossless(self, source, kind):
        """What each program made of a source without loss."""
        rows = [row for row in self.rows if "squared_error" not in row]
        return {row["program"]: row for row in rows if (row["source"], row["format"]) == (source, kind)}
