"""How boards look in Grafana: layout, kinds of panel, tables, variables and links."""
