"""How the shipped arrival model was made: journeys told again, network, file, evaluation, card."""
