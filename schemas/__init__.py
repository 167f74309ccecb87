"""What crosses a boundary: records, codes, slices, lake tables. Imports none of our packages."""
