"""The Brunel outbound logistics problem: nineteen plants, one day of orders, more than fits."""
