"""What keeps the ε contract: an exact model, U-Nets, and what latent models bring along."""
