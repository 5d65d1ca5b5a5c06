"""MCP servers, reached by the official SDK: permission, connections, and calls of their tools."""
