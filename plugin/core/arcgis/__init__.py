"""All that speaks ArcGIS REST. The only room that knows HTTP and the JSON keys of ArcGIS."""
