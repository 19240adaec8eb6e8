import numpy as np, tempfile
from pathlib import Path
from pipeline.backend import get_backend
from pipeline.rows import *
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.scaling import Standardiser
from pipeline.prepare.splits import train_split_of
b=get_backend("cpu"); n=800
rng=np.random.default_rng(0); v=rng.normal(size=(n,3,30,40)).astype("f4"); v[rng.random(v.shape)<.01]=np.nan
time=np.datetime64("2001-01-01")+np.arange(n).astype("timedelta64[D]"); time=time.astype("datetime64[ns]")
tr=train_split_of(np.arange(30,700),time)
p=Path(tempfile.mkdtemp())/"a.npy"
with store(p,v.shape) as add: add(v)
s=Stored.open(p,b)
for X in (Climatology,):
    a=X.fit(v,tr,harmonics=2); c=X.fit(s,tr,harmonics=2)
    for f in ("mean","variance","constant"): assert np.array_equal(getattr(a,f),getattr(c,f),equal_nan=True),f
for per in ("per_cell","per_field"):
    a=Standardiser.fit(v,tr,per=per,names="abc"); c=Standardiser.fit(s,tr,per=per,names="abc")
    assert np.array_equal(a.mean,c.mean) and np.array_equal(a.deviation,c.deviation)
print("same")
