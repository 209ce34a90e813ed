document.title = "Ashlar fleet";
