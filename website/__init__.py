"""The site of the documents: what makes pages out of docs/, the API's document and the settings. Never shipped."""
