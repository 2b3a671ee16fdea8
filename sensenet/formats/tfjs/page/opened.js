// A script that is no module: browsers load no modules, and no model, from pages opened as files.
"use strict";
if (location.protocol === "file:") {
  document.getElementById("status").textContent = "";
  document.getElementById("problem").textContent =
    "Browsers do not let a page that was opened as a file read the model beside it. Serve this folder, " +
    "for instance with: python3 -m http.server 8000 -- and open http://localhost:8000/";
}
