"""Vision: reads handwritten digits off forms that two scanners take pictures of."""

from loopline.specs import Team
from vision.digits import digits

team = Team("vision", __file__, (digits,), owner="vision")
