"""Teaching one field what another has learned."""
