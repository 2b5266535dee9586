"""Who may do what with the dashboard: logins, sessions, tokens, and the guard before everything."""
