"""What scarce stock is worth, what was possible with hindsight, and better plans for waiting orders."""
